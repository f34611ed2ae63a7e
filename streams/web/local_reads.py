"""Reads partitions of this worker, and gives away only what it owned when it read (docs/decisions/0016).

First the store is read, then ownership is proven: a worker that is frozen in between must not answer when it wakes up.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from streams.errors import HeadraceError
from streams.web.places import Places
from streams.web.refusals import unavailable
from streams.web.stages import Reads, TableOfStage

T = TypeVar("T")
LocalRead = Callable[[Reads, int], T]


class LocalReads:
    """Reads what is here.

    Args:
        places: what this worker believes to serve, and what Kafka says.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    async def read(self, table: TableOfStage, wanted: Collection[int], here: LocalRead[T]) -> dict[int, T]:
        """Result of each wanted partition that is this worker's; the others are absent.

        Raises:
            Refusal: 503, a partition closed while it was read, or Kafka did not say whose they are.
        """
        reads = self._places.reads(table.spec)
        tenures = {p: tenure for p, tenure in self._places.here(table.spec).items() if p in wanted}
        if reads is None or not tenures:
            return {}
        member_id = reads.member_id
        with _refusing(table):  # in a thread: a scan must not hold up the agents on the loop
            results = await asyncio.to_thread(lambda: {p: here(reads, p) for p in sorted(tenures)})
        owned = await self._owned(table, reads, member_id, tenures)
        return {p: result for p, result in results.items() if p in owned}

    async def _owned(
        self, table: TableOfStage, reads: Reads, member_id: str, tenures: Mapping[int, int]
    ) -> Collection[int]:
        """Those of `tenures` that nobody else has taken over up to now."""
        owned: Collection[int] = tenures
        if not reads.lease_holds:
            directory = self._places.directory
            owners = await directory.owners(table.spec, asked_after=directory.now)
            owned = [p for p in tenures if owners.confirm(p, member_id)]
        still = self._places.here(table.spec)  # a partition may have gone and come back since it was read
        return {p for p in owned if still.get(p) == tenures[p]}


@contextmanager
def _refusing(table: TableOfStage) -> Iterator[None]:
    """Turn what the engine refuses (not owned, restoring, closing) into 503."""
    try:
        yield
    except HeadraceError as error:
        raise unavailable(f"{table.name}: {error}") from error
