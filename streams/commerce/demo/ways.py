"""The ten ways in which the demo breaks a message, and the category of dead letter that each has to become.

The categories are written from the design's rules, not from the router's code.
"""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from streams.commerce.demo.orders import Draw
from streams.commerce.demo.wire import Encoder, Sound
from streams.errors import Category

# More than the 256 KiB that topology.yaml lets into order-events, less than orders.inbound takes. Random, for
# the broker's limit applies to compressed batches.
_OVERSIZE_BYTES = 300_000
_UNKNOWN_ID = 9_999_999
_FRAME_BYTES = 5


@dataclass(frozen=True, slots=True)
class Breaking:
    """What a way of breaking a message may use."""

    random: Random
    encoder: Encoder
    started_at: datetime


Way = Callable[[Sound, Breaking], Sound]


def empty_value(sound: Sound, _: Breaking) -> Sound:
    """A value of no bytes at all."""
    return replace(sound, value=b"")


def wrong_magic_byte(sound: Sound, _: Breaking) -> Sound:
    """A value whose first byte is not 0x00: JSON, say, or some other framing."""
    return replace(sound, value=b"{" + sound.value[1:])


def unknown_schema_id(sound: Sound, _: Breaking) -> Sound:
    """A schema id that no registry gave out."""
    return replace(sound, value=struct.pack(">bI", 0, _UNKNOWN_ID) + sound.value[_FRAME_BYTES:])


def another_contract(sound: Sound, breaking: Breaking) -> Sound:
    """A sound order_line that says it is an order."""
    of_order = {"order_id": sound.key.decode(), "line_number": 1, "line_count": 1, "customer_id": "C-1"}
    line = of_order | {"total_amount": Decimal(1), "currency": "EUR", "country": "DE"} | Draw(breaking.random).line()
    return replace(sound, value=breaking.encoder.encode("order_line", line))


def truncated_value(sound: Sound, breaking: Breaking) -> Sound:
    """Avro that ends before the field that the first route reads (total_amount, behind two short strings)."""
    return replace(sound, value=sound.value[: _FRAME_BYTES + breaking.random.randint(1, 15)])


def out_of_range_decimal(sound: Sound, _: Breaking) -> Sound:
    """A total of 10,000,000,000,000.00 where the contract allows twelve digits."""
    start = _FRAME_BYTES
    for _string in ("order_id", "customer_id"):
        start += 1 + sound.value[start] // 2  # Avro's zigzag length, one byte for a string this short
    end = start + 1 + sound.value[start] // 2
    total = (10**15).to_bytes(8, "big", signed=True)
    return replace(sound, value=sound.value[:start] + bytes([2 * len(total)]) + total + sound.value[end:])


def missing_type(sound: Sound, _: Breaking) -> Sound:
    """CloudEvents headers without ce_type."""
    return replace(sound, headers=sound.header_removed("ce_type"))


def undecodable_header(sound: Sound, _: Breaking) -> Sound:
    """A ce_source that is Latin-1, not UTF-8."""
    return replace(sound, headers=sound.header_set("ce_source", "/shop/münchen".encode("latin-1")))


def expired_ttl(sound: Sound, breaking: Breaking) -> Sound:
    """An hour old, good for a minute."""
    long_ago = breaking.started_at - timedelta(hours=1)
    headers = sound.header_set("ce_time", long_ago.isoformat().encode())
    return replace(sound, headers=(*(h for h in headers if h[0] != "ttl"), ("ttl", b"60")))


def too_large(sound: Sound, breaking: Breaking) -> Sound:
    """An order for two topics, one of which refuses its size: it may reach neither."""
    note = base64.b85encode(breaking.random.randbytes(_OVERSIZE_BYTES)).decode()
    order = Draw(breaking.random).costly_order(note)
    headers = (*sound.header_removed("priority"), ("priority", b"high"))
    return Sound(order["order_id"].encode(), breaking.encoder.encode("order", order), headers)


# The last is too_large, see below.
WAYS: tuple[tuple[Way, Category], ...] = (
    (empty_value, Category.INVALID_FORMAT),
    (wrong_magic_byte, Category.INVALID_FORMAT),
    (unknown_schema_id, Category.INVALID_FORMAT),
    (another_contract, Category.INVALID_FORMAT),
    (truncated_value, Category.INVALID_FORMAT),
    (out_of_range_decimal, Category.INVALID_FORMAT),
    (missing_type, Category.INVALID_FORMAT),
    (undecodable_header, Category.INVALID_FORMAT),
    (expired_ttl, Category.EXPIRED),
    (too_large, Category.INVALID_FORMAT),
)
# too_large comes in every fifth round of the ways only: the others cost their dead letter, but a refused produce
# costs the worker the open transaction, which it runs twice more to find the guilty one.
_LARGE_ROUNDS = 5


def way_of(turn: int) -> tuple[Way, Category]:
    """The way in which the message whose turn it is gets broken; ten turns are a round."""
    rounds, number = divmod(turn, len(WAYS))
    if WAYS[number][0] is too_large and rounds % _LARGE_ROUNDS:
        return WAYS[rounds % (len(WAYS) - 1)]
    return WAYS[number]
