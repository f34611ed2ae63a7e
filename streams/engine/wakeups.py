"""Timers: wake-ups in a table of the stage, ordered by when they are due, delivered to an agent as batches.

One fires only when its time has come **and** its partition has been read to the end that was seen then. So neither an
outage nor a replay lets a deadline overtake the event that it waits for.

Rows of the table `wakeups`:
    due:<unix ms, 20 digits>:<name>    the payload, as JSON, after the number that names the wake-up
    name:<name>                        when it is due, so that it can be moved and cancelled
    next                               the number of the next one
Pure: knows no Kafka; time is an argument.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

DUE = b"due:"
_NAME = b"name:"
_NEXT = b"next"
_DIGITS = 20


class Rows(Protocol):
    """The table as the current cycle sees it."""

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of a row."""

    def set(self, key: bytes, value: Any) -> None:
        """Write a row."""

    def delete(self, key: bytes) -> None:
        """Remove a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Wakeup:
    """A timer that fires; looks like a consumed record.

    Args:
        channel: what its agent reads.
        of_partition: where it was set.
        number: of all that were set there.
        due_ms: when it was due, unix milliseconds.
        name: given when it was set.
        payload: JSON, likewise.
    """

    channel: str
    of_partition: int
    number: int
    due_ms: int
    name: bytes
    payload: bytes

    def topic(self) -> str:
        """The channel."""
        return self.channel

    def partition(self) -> int:
        """Where it was set."""
        return self.of_partition

    def offset(self) -> int:
        """Its number."""
        return self.number

    def timestamp(self) -> tuple[int, int]:
        """Type and unix milliseconds of when it was due."""
        return (1, self.due_ms)

    def key(self) -> bytes:
        """Its name."""
        return self.name

    def value(self) -> bytes:
        """Its payload, as JSON."""
        return self.payload

    def headers(self) -> list[tuple[str, bytes | None]]:
        """None of any kind."""
        return []

    def error(self) -> None:
        """There is none."""


def set_wakeup(rows: Rows, name: bytes, due_ms: int, payload: Any) -> None:
    """Wake up at `due_ms`, or then instead of when it was to be before."""
    cancel_wakeup(rows, name)
    number = rows.get(_NEXT, 0)
    rows.set(_NEXT, number + 1)
    rows.set(_NAME + name, due_ms)
    rows.set(_due_key(due_ms, name), [number, payload])


def cancel_wakeup(rows: Rows, name: bytes) -> bool:
    """Do not wake up after all; False where nothing was set."""
    due_ms = rows.get(_NAME + name)
    if due_ms is None:
        return False
    rows.delete(_NAME + name)
    rows.delete(_due_key(due_ms, name))
    return True


def take_due(
    rows: Rows,
    written: Iterable[bytes],
    committed: Iterable[bytes],
    now_ms: int,
    limit: int,
    make: Callable[[int, int, bytes, bytes], Wakeup],
) -> list[Wakeup]:
    """Remove and return what is due, earliest first, at most `limit`.

    Args:
        rows: the table.
        written: keys that the current cycle has written.
        committed: the first keys of the table that begin with `due:`, in order; more than `limit` are not looked at.
        now_ms: what is due later stays.
        limit: how many.
        make: a wake-up of its number, due time, name and payload.
    """
    first = list(committed)
    end = _due_key(now_ms + 1, b"")
    if len(first) >= limit:  # there may be more between these and what was written now
        end = min(end, first[-1] + b"\x00")
    taken: list[Wakeup] = []
    for key in sorted({key for key in (*written, *first) if key.startswith(DUE) and key < end}):
        value = rows.get(key)
        if value is not None and len(taken) < limit:
            name = key[len(DUE) + _DIGITS + 1 :]
            rows.delete(key)
            rows.delete(_NAME + name)
            taken.append(make(value[0], first_due_ms(key), name, orjson.dumps(value[1])))
    return taken


def first_due_ms(key: bytes) -> int:
    """When the wake-up of a `due:` row is due."""
    return int(key[len(DUE) : len(DUE) + _DIGITS])


def _due_key(due_ms: int, name: bytes) -> bytes:
    return b"%b%0*d:%b" % (DUE, _DIGITS, due_ms, name)
