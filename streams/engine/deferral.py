"""What one batch does with records that may not be handled now, and with those that failed.

A record waits behind another of its key, is held back by its key's dead letter, or the whole partition stands still:
during an outage, or where nothing more can be parked.
"""

import random
import time
from dataclasses import dataclass
from enum import Enum, auto

from streams.engine.parked_record import Consumed, Headers, ParkedRecord
from streams.engine.parking import Parking, Place, Spent
from streams.engine.retrying import Circuit, CircuitState
from streams.engine.state import WriteSet
from streams.engine.wakeups import Wakeup
from streams.errors import Category, KeyHeld, UnreadableHeaders

FULL_S = 1.0  # how long a partition stands still before it looks again whether there is room


class Turn(Enum):
    """Whether it is a record's turn."""

    HANDLE = auto()
    WAIT = auto()  # parked, or a record before it in its queue has failed
    HALT = auto()  # the partition stands still from here on


@dataclass(frozen=True, slots=True)
class Halt:
    """A partition stands still: from which offset on, and until when (monotonic seconds)."""

    offset: int
    until: float
    outage: bool


class Deferral:
    """Parking and circuit of a partition, as one batch uses them.

    Args:
        parking: the partition's.
        circuit: the partition's.
        rows: the table `parked` in this cycle.
    """

    __slots__ = ("_circuit", "_parking", "rows", "stands_still")

    def __init__(self, parking: Parking, circuit: Circuit, rows: WriteSet) -> None:
        self._parking = parking
        self._circuit = circuit
        self.rows = rows
        self.stands_still: tuple[float, bool] | None = None

    @property
    def probing(self) -> bool:
        """Whether one record finds out if an outage is over; until then no other is begun."""
        return self._circuit.state is CircuitState.PROBING

    def has_room(self) -> bool:
        """Whether one more record may be parked."""
        return self._parking.has_room()

    def queue_of(self, record: Consumed) -> bytes:
        """Queue of a record: records of one queue are handled one after the other."""
        return record.queue if isinstance(record, ParkedRecord) else self._parking.queue_of(record)

    @property
    def idle(self) -> bool:
        """Whether no key has trouble, so that records need not be looked at."""
        return not self._parking.heads and self.stands_still is None and self._circuit.state is CircuitState.CLOSED

    def turn_of(self, record: Consumed) -> Turn:
        """Whether this record may be handled; one whose key has a queue is parked.

        Raises:
            KeyHeld: it becomes a letter behind a letter of its key.
            UnreadableHeaders: it cannot be parked.
        """
        if not self._circuit.try_again(time.monotonic()):
            return self._halt(self._circuit.until, outage=True)
        if isinstance(record, ParkedRecord):
            return Turn.HANDLE if self._parking.is_first(record) else Turn.WAIT
        queue = self._parking.queue_of(record)
        if queue not in self._parking.heads:
            return Turn.HANDLE
        in_any_case = isinstance(record, Wakeup)
        place = self._parking.join(self.rows, queue, record, _headers_of(record), in_any_case=in_any_case)
        if place is Place.HELD:
            raise KeyHeld("an earlier record of its key is a dead letter; redrive or discard that one")
        if place is Place.FULL:
            return self._halt(time.monotonic() + FULL_S, outage=False)
        return Turn.WAIT

    def handled(self, record: Consumed) -> None:
        """A record was handled: the other side is there, and what waits behind a parked one is next."""
        self._circuit.succeeded()
        if isinstance(record, ParkedRecord):
            self._parking.settled(self.rows, record, _now_ms())

    def failed(
        self, record: Consumed, category: Category, headers: Headers | None, *, concurrent: bool = False
    ) -> Spent | None:
        """A record failed; None where it is parked or the partition stands still, else it becomes a letter.

        Args:
            record: as it was handled.
            category: of its failure.
            headers: the record's; None where they cannot be read, so that it cannot be parked.
            concurrent: later records may have been handled already, so the partition cannot stop before this one:
                it is parked in any case.
        """
        now = time.monotonic()
        concurrent = concurrent or isinstance(record, Wakeup)
        if category is Category.TRANSIENT and self._circuit.failed(self.queue_of(record), now):
            if isinstance(record, ParkedRecord):
                self._parking.postpone(self.rows, record, self._next_try_ms(now))
            self._halt(self._circuit.until, outage=True)
            if isinstance(record, ParkedRecord) or not concurrent:
                return None
        became = self._parking.failed(
            self.rows,
            record,
            headers or [],
            category,
            _now_ms(),
            chance=random.random(),  # noqa: S311 it spreads retries, and hides nothing
            retries=0 if headers is None else None,
            in_any_case=concurrent,
        )
        if became is Place.FULL:
            self._halt(now + FULL_S, outage=False)
        return became if isinstance(became, Spent) else None

    def _next_try_ms(self, now: float) -> int:
        return _now_ms() + round(1000 * (self._circuit.until - now))

    def _halt(self, until: float, *, outage: bool) -> Turn:
        self.stands_still = until, outage
        return Turn.HALT

    def bury(self, limit: int) -> list[ParkedRecord]:
        """Parked records that become letters behind a letter of their key."""
        return self._parking.bury(self.rows, limit)

    def redrive(self, letter: Consumed, headers: Headers, *, holding: bool) -> bool:
        """A letter comes back; see `Parking.redrive`."""
        return self._parking.redrive(self.rows, letter, headers, _now_ms(), holding=holding)

    def discard(self, letter: Consumed) -> bool:
        """A letter is given up; see `Parking.discard`."""
        return self._parking.discard(self.rows, letter, _now_ms())


def _headers_of(record: Consumed) -> Headers:
    try:
        return list(record.headers() or ())
    except (UnicodeDecodeError, SystemError) as error:
        raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
