"""Tells a person what the demo is doing and how far it is: a line a step, with its time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Write = Callable[[str], None]

_REFRESH_S = 0.2
_PLAIN_REFRESH_S = 5.0  # where lines cannot be written over, as in a CI log
_CLEAR_LINE = "\r\x1b[K"


class Narrator:
    """Writes steps as they end, and on a terminal one line of progress that is written over.

    Args:
        write: takes text without adding a line end.
        live: whether lines can be written over (a terminal).
    """

    def __init__(self, write: Write, *, live: bool) -> None:
        self._write = write
        self._live = live
        self._shown_at = 0.0
        self._started_at = time.monotonic()

    def say(self, line: str = "") -> None:
        """Write one line."""
        self._write(f"{_CLEAR_LINE if self._live else ''}{line}\n")

    def progress(self, line: str) -> None:
        """Show how far a step is, as often as an eye can follow; without a terminal, now and then."""
        now = time.monotonic()
        if now - self._shown_at < (_REFRESH_S if self._live else _PLAIN_REFRESH_S):
            return
        self._shown_at = now
        if self._live:
            self._write(f"{_CLEAR_LINE}{self._clock()}    {line}")
        else:
            self.event(line)

    def event(self, line: str) -> None:
        """Tell of something that happens within a step."""
        self.say(f"{self._clock()}    {line}")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step, and tell how long it took when it is done."""
        self.say(f"{self._clock()}  {what}")
        started_at = time.monotonic()
        self._shown_at = 0.0 if self._live else started_at
        yield
        if self._live:
            self._write(_CLEAR_LINE)
        took = time.monotonic() - started_at
        if took >= 1:
            self.say(f"          done in {took:.1f} s")

    def _clock(self) -> str:
        return f"{self.elapsed_s():6.1f} s"

    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started_at
