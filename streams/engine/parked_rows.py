"""Rows of the table `parked` (see parking.py for what they mean), and the head of a queue."""

from dataclasses import dataclass
from typing import Protocol

from streams.engine.parked_record import Consumed

HEAD = b"head:"
AWAY = b""  # content of a row while its record is a dead letter


class Committed(Protocol):
    """The table without the current cycle's writes."""

    def get_raw(self, key: bytes) -> bytes | None:
        """Row, or None."""


class Rows(Committed, Protocol):
    """The table as the current cycle sees it."""

    def set_raw(self, key: bytes, raw: bytes) -> None:
        """Write a row."""

    def delete(self, key: bytes) -> None:
        """Remove a row."""


@dataclass(slots=True)
class Head:
    """A queue's state.

    Args:
        first: place of its first record that is not settled.
        end: place of the next one to come.
        records: how many are here.
        size: their bytes.
        attempts: failures of the first one so far.
        since_ms: when it failed first; 0 where it has not.
        due_ms: when it may be handled; 0 while it is away.
        redriving: letters of it are on their way back, so that new records wait behind them.
        bury_at: place from which its records become letters too; None where they don't.
    """

    first: int = 0
    end: int = 0
    records: int = 0
    size: int = 0
    attempts: int = 0
    since_ms: int = 0
    due_ms: int = 0
    redriving: bool = False
    bury_at: int | None = None


def row_key(queue: bytes, place: int) -> bytes:
    """Row of the record at a place of a queue."""
    return b"row:%b:%020d" % (queue, place)


def letter_key(queue: bytes, record: Consumed) -> bytes:
    """Row that says at which place of its queue a letter stood."""
    return b"letter:%b:%b" % (queue, identity(record))


def identity(record: Consumed) -> bytes:
    """Where a record came from, which names it."""
    return f"{record.topic()}/{record.partition()}@{record.offset()}".encode()
