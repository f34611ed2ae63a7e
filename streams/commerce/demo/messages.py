"""The demo's generator: (seed, index) -> message and what has to become of it. Pure and repeatable.

What has to become of it is worked out by hand from the text of topology.yaml: orders of more than 1,000 with
high priority go to express-processing and order-events, all others to standard-processing, broken ones to the
router's dead letters. Nothing of streams.routing is used, so that a mistake there cannot hide here.
"""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from streams.commerce.demo.orders import Draw, Order
from streams.commerce.demo.ways import Breaking, way_of
from streams.commerce.demo.wire import Encoder, Headers, Sound, index_header
from streams.errors import Category

SOURCE = "orders.inbound"
EXPRESS = "express-processing"
EVENTS = "order-events"
STANDARD = "standard-processing"
DEAD_LETTERS = "headrace.router.dlq"
DESTINATIONS = (EXPRESS, EVENTS, STANDARD)

_THRESHOLD = Decimal(1000)
_BROKEN_EVERY = 199  # one in 199 is broken, in ten ways: 502 of 100,000
_PRIORITIES = (b"high", b"normal", b"low", None)
_TTL_S = 3600
_BINARY_EVERY = 50  # one in fifty carries a header that is not text, and has to pass untouched all the same


@dataclass(frozen=True, slots=True)
class Outcome:
    """The topics that a message has to enter, each once; the reason where that is the dead letters."""

    topics: frozenset[str]
    category: Category | None = None
    way: str = ""


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One message to send, and its outcome."""

    index: int
    key: bytes
    value: bytes
    headers: Headers
    outcome: Outcome


_TO_STANDARD = Outcome(frozenset({STANDARD}))
_TO_EXPRESS = Outcome(frozenset({EXPRESS, EVENTS}))


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes the demo's messages.

    Args:
        seed: chooses the run; printed, so that a run can be made again.
        started_at: time of the first message; the only thing of the clock that a message knows.
        encoder: knows contracts `order` and `order_line` and their ids.
    """

    seed: int
    started_at: datetime
    encoder: Encoder

    def message(self, index: int, *, may_break: bool = True) -> DemoMessage:
        """The message of `index`; always a sound one if not `may_break`."""
        random = Random(self.seed << 32 | index)  # noqa: S311 made-up orders, and they have to be repeatable
        order = Draw(random).order()
        priority = random.choice(_PRIORITIES)
        sound = Sound(
            order["order_id"].encode(),
            self.encoder.encode("order", order),
            self._headers(index, priority, with_ttl=random.randrange(8) == 0),
        )
        turn, position = divmod(index + self.seed, _BROKEN_EVERY)
        if may_break and position == 0:
            return self._broken(index, sound, turn, random)
        return DemoMessage(index, sound.key, sound.value, sound.headers, _outcome(order, priority))

    def _headers(self, index: int, priority: bytes | None, *, with_ttl: bool) -> Headers:
        time = self.started_at + timedelta(milliseconds=index // 10)
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"demo-%d-%d" % (self.seed, index)),
            ("ce_type", b"order"),
            ("ce_source", b"/shop/demo"),
            ("ce_time", time.isoformat().encode()),
            index_header(index),
        ]
        if index % _BINARY_EVERY == 0:
            headers.append(("demo-trace", struct.pack(">Q", index | 1 << 63)))
        if with_ttl:
            headers.append(("ttl", b"%d" % _TTL_S))
        if priority is not None:
            headers.append(("priority", priority))
        return tuple(headers)

    def _broken(self, index: int, sound: Sound, turn: int, random: Random) -> DemoMessage:
        way, category = way_of(turn)
        broken = way(sound, Breaking(random, self.encoder, self.started_at))
        outcome = Outcome(frozenset({DEAD_LETTERS}), category, way.__name__)
        return DemoMessage(index, broken.key, broken.value, broken.headers, outcome)


def _outcome(order: Order, priority: bytes | None) -> Outcome:
    return _TO_EXPRESS if priority == b"high" and order["total_amount"] > _THRESHOLD else _TO_STANDARD
