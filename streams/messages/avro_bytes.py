"""The moves of a skip reader over Avro's binary encoding that are too long to stand in its generated source.

Positions only grow and every loop consumes bytes, so hostile lengths end in IndexError, which the reader reports as
InvalidMessage; nothing here allocates more than the value holds. Encoding: Avro 1.12, "Binary encoding".
"""

MAX_VARINT = 10  # bytes of a 64-bit zig-zag number
LAST_BYTE = 0x7F
MAX_EMPTY_ITEMS = 100  # in an array of nulls, which nobody has a use for

# Bytes that a string or bytes takes whose length stands in one byte, that byte included; 0: ask `far_span`.
SPAN = tuple(1 + (first >> 1) if first <= LAST_BYTE and not first & 1 else 0 for first in range(256))


def read_long(data: bytes, pos: int) -> tuple[int, int]:
    """Number at `pos` and the position after it."""
    shift = result = 0
    for end in range(pos, pos + MAX_VARINT):
        byte = data[end]
        result |= (byte & LAST_BYTE) << shift
        if byte <= LAST_BYTE:
            return (result >> 1) ^ -(result & 1), end + 1
        shift += 7
    raise IndexError("a number of more than 10 bytes")


def varint_width(data: bytes, pos: int) -> int:
    """Bytes that the number at `pos` takes."""
    return read_long(data, pos)[1] - pos


def read_span(data: bytes, pos: int) -> tuple[int, int]:
    """Where the string or bytes at `pos` begins and ends, whatever its length."""
    length, start = read_long(data, pos)
    if length < 0 or start + length > len(data):
        raise IndexError("a length past the end")
    return start, start + length


def far_span(data: bytes, pos: int) -> int:
    """Bytes that the string or bytes at `pos` takes, its length included."""
    return read_span(data, pos)[1] - pos


def next_block(data: bytes, pos: int) -> tuple[int, int]:
    """Items in the block of an array or map at `pos`, 0 at its end; each item takes at least a byte."""
    first = data[pos]
    if first <= LAST_BYTE and not first & 1:
        count, pos = first >> 1, pos + 1
    else:
        count, pos = read_long(data, pos)
    if count < 0:  # a block that says its size, which we don't trust
        count = -count
        pos += varint_width(data, pos)
    if count > len(data) - pos:
        raise IndexError("more items than bytes")
    return count, pos


def skip_empty_items(data: bytes, pos: int) -> int:
    """Position after an array whose items take no bytes (null, a record of nulls): few, or it could claim 2^62."""
    total = 0
    while True:
        count, pos = read_long(data, pos)
        if not count:
            return pos
        if count < 0:
            count = -count
            pos += varint_width(data, pos)
        total += count
        if total > MAX_EMPTY_ITEMS:
            raise IndexError(f"more than {MAX_EMPTY_ITEMS} items without bytes")
