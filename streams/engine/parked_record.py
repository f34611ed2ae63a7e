"""A record that waits in the stage's table `parked`: a consumed message by its face, bytes in the table."""

import struct
from dataclasses import dataclass
from typing import Any, Protocol

_NULL = 0xFFFFFFFF
_LENGTH = struct.Struct(">I")
_FIXED_PARTS = 6

Headers = list[tuple[str, bytes | None]]


class Consumed(Protocol):
    """What a consumed message and a parked one have in common; see confluent_kafka.Message."""

    def topic(self) -> str | None:
        """Where it came from."""

    def partition(self) -> int | None:
        """Of the topic."""

    def offset(self) -> int | None:
        """In the partition."""

    def key(self) -> bytes | None:
        """Business key."""

    def value(self) -> bytes | None:
        """Content."""

    def headers(self) -> Any:
        """In order; None where there are none."""

    def timestamp(self) -> tuple[int, int]:
        """Its type and unix time in milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class ParkedRecord:
    """A record as it was consumed, with its place in the queue of its key.

    Args:
        queue: of which key it is.
        seq: its place there.
    """

    queue: bytes
    seq: int
    of_topic: str
    of_partition: int
    at_offset: int
    timestamp_ms: int
    of_key: bytes | None
    content: bytes | None
    carried: Headers

    def topic(self) -> str:
        """Topic that it came from."""
        return self.of_topic

    def partition(self) -> int:
        """Partition that it came from."""
        return self.of_partition

    def offset(self) -> int:
        """Offset that it had there."""
        return self.at_offset

    def timestamp(self) -> tuple[int, int]:
        """Type (1: set by the producer) and unix milliseconds, as confluent-kafka gives them."""
        return (1, self.timestamp_ms)

    def key(self) -> bytes | None:
        """Its key."""
        return self.of_key

    def value(self) -> bytes | None:
        """Its value."""
        return self.content

    def headers(self) -> Headers:
        """Its headers, a fresh list."""
        return list(self.carried)

    def error(self) -> None:
        """A parked record was a sound one."""


def encoded(record: Consumed, headers: Headers) -> bytes:
    """Row of a record: its parts, each after a 4-byte big-endian length, null as 0xFFFFFFFF.

    No JSON: base64 would make a record of the largest size too large for the changelog.
    """
    parts: list[bytes | None] = [
        str(record.topic()).encode(),
        b"%d" % (record.partition() or 0),
        b"%d" % (record.offset() or 0),
        b"%d" % max(record.timestamp()[1], 0),
        record.key(),
        record.value(),
    ]
    for name, content in headers:
        parts += [name.encode(), content]
    raw = bytearray()
    for part in parts:
        raw += _LENGTH.pack(_NULL if part is None else len(part))
        raw += part or b""
    return bytes(raw)


def decoded(row: bytes, queue: bytes, seq: int) -> ParkedRecord:
    """Record of a row that `encoded` made."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(row):
        (length,) = _LENGTH.unpack_from(row, at)
        at += _LENGTH.size
        if length == _NULL:
            parts.append(None)
        else:
            parts.append(row[at : at + length])
            at += length
    topic, partition, offset, timestamp, key, value = parts[:_FIXED_PARTS]
    headers = [
        ((name or b"").decode(), content)
        for name, content in zip(parts[_FIXED_PARTS::2], parts[_FIXED_PARTS + 1 :: 2], strict=True)
    ]
    return ParkedRecord(
        queue,
        seq,
        (topic or b"").decode(),
        int(partition or 0),
        int(offset or 0),
        int(timestamp or 0),
        key,
        value,
        headers,
    )
