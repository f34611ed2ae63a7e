"""Stream time of a partition, and what leaves it: entries in the order in which they came, each for a while.

Stream time is the highest timestamp of the records that a partition has had, and never goes back, so the same records
make the same outcome however late or often they are handled. It stands still while nothing comes.

Rows, by partition: `clock:<p>` holds [stream time, first and next number], `entry:<p>:<number>` an entry.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

# Of one record; more come with the next ones. As many enter as records come, so nothing piles up.
_MOST_AT_ONCE = 100


class Rows(Protocol):
    """Rows of a table in one partition."""

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of a row."""

    def set(self, key: bytes, value: Any) -> None:
        """Write a row."""

    def delete(self, key: bytes) -> None:
        """Remove a row."""


class Entry(NamedTuple):
    """What entered: its number, stream time then, and what it is."""

    number: int
    entered_ms: int
    what: str


class StreamTime:
    """The clock of one partition and its entries.

    Args:
        rows: of the table, in this partition.
        partition: its number.
        stay_ms: how long an entry stays.
    """

    def __init__(self, rows: Rows, partition: int, stay_ms: int) -> None:
        self._rows = rows
        self._stay_ms = stay_ms
        self._clock = f"clock:{partition}".encode()
        self._prefix = f"entry:{partition}:"

    def tick(self, timestamp_ms: int) -> int:
        """Stream time once a record of this time has come."""
        now, first, following = self._read()
        if timestamp_ms > now:
            now = timestamp_ms
            self._rows.set(self._clock, [now, first, following])
        return now

    def enter(self, what: str) -> int:
        """Let something enter now; its number."""
        now, first, following = self._read()
        self._rows.set(self._key(following), [now, what])
        self._rows.set(self._clock, [now, first, following + 1])
        return following

    def leave(self) -> Iterator[Entry]:
        """Entries whose time is over, the oldest first; they are gone once they are given."""
        for _ in range(_MOST_AT_ONCE):
            now, first, following = self._read()
            if first == following:
                return
            entered, what = self._rows.get(self._key(first))
            if not self.is_over(entered, now):
                return
            self._rows.delete(self._key(first))
            self._rows.set(self._clock, [now, first + 1, following])
            yield Entry(first, entered, what)

    def is_over(self, entered_ms: int, now_ms: int) -> bool:
        """Whether the time of what entered then is over."""
        return now_ms - entered_ms > self._stay_ms

    def _read(self) -> tuple[int, int, int]:
        now, first, following = self._rows.get(self._clock, (0, 0, 0))
        return now, first, following

    def _key(self, number: int) -> bytes:
        return f"{self._prefix}{number}".encode()
