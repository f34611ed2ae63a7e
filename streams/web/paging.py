"""Merges rows of several partitions into one page in key order. Pure.

`next` is the last key of a page and `after` means keys greater than it. A table by source may hold one key in
several partitions; such rows are never parted, so a page may be longer than its limit by as many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from streams.web.stages import Row


@dataclass(frozen=True, slots=True)
class Keyed:
    """A row on its way out."""

    key: bytes
    value: object
    position: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in key order; `complete` when nothing follows them."""

    rows: tuple[Keyed, ...]
    complete: bool

    @property
    def next(self) -> bytes | None:
        """Where the following page begins (its `after`), or None at the end."""
        return None if self.complete or not self.rows else self.rows[-1].key


def page_of(rows: Sequence[Row], limit: int) -> Page:
    """Page of one partition from a scan of up to `limit + 1` rows: one too many tells that more follow."""
    kept = tuple(Keyed(row.key, row.value, row.position) for row in rows[:limit])
    return Page(kept, complete=len(rows) <= limit)


def merge(pages: Iterable[Page], limit: int) -> Page:
    """One page of `limit` rows from pages that were each cut at the same limit or more."""
    parts = list(pages)
    rows = sorted(chain.from_iterable(part.rows for part in parts), key=attrgetter("key"))
    end = min(limit, len(rows))
    while 0 < end < len(rows) and rows[end].key == rows[end - 1].key:
        end += 1
    return Page(tuple(rows[:end]), complete=end == len(rows) and all(part.complete for part in parts))
