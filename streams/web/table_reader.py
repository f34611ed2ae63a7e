"""Answers for a table from wherever its partitions are: here, or one hop away at their owners.

Every answer covers all the partitions that it speaks for, each of them owned and restored by who answered;
where one is missing the whole is refused with 503. So an absent key is truly not there, and a list misses
nothing.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from streams.engine.partitioner import partition_of
from streams.errors import HeadraceError
from streams.web.answers import page_in, rows_in
from streams.web.directory import Directory
from streams.web.hop import Asked, Hop
from streams.web.local_reads import LocalRead, LocalReads
from streams.web.paging import Keyed, Page, merge, page_of
from streams.web.parameters import Scan
from streams.web.passing import Passing, Positions
from streams.web.places import Places
from streams.web.positions import check_positions
from streams.web.refusals import Refusal, no_such_key
from streams.web.remote_reads import RemoteRead, RemoteReads
from streams.web.stages import Reads, TableOfStage

T = TypeVar("T")


class TableReader:
    """Reads tables of all stages of the topology.

    Args:
        places: who has which partition.
        directory: how many partitions there are, and what Kafka said of their owners.
        hop: the way to them.
    """

    def __init__(self, places: Places, directory: Directory, hop: Hop) -> None:
        self._places = places
        self._directory = directory
        self._here = LocalReads(places)
        self._there = RemoteReads(directory, hop)
        self._passing = Passing(places, self._there)

    async def get(self, table: TableOfStage, key: bytes, asked: Asked) -> Keyed:
        """The row of `key`.

        Raises:
            Refusal: 400 a position can never be passed; 404 there is none; 409 several partitions have one; 503
                nobody can say.
        """
        if table.table.by == "key":
            wanted: Collection[int] = (await self._partition_of(table, key),)
        else:
            wanted = await self._wanted(table, asked)

        def here(reads: Reads, partition: int) -> list[Keyed]:
            row = reads.get(table.table.name, partition, key)
            return [] if row is None else [Keyed(row.key, row.value, row.position)]

        found = [row for rows in await self._gather(table, wanted, asked, here, rows_in) for row in rows]
        if not found:
            raise no_such_key(table.name)
        if len(found) > 1:
            where = f"{len(found)} partitions of {table.name} have a row of this key"
            raise Refusal(409, "ambiguous_key", f"{where}; list them with ?prefix=")
        return found[0]

    async def scan(self, table: TableOfStage, scan: Scan, asked: Asked) -> Page:
        """Rows in key order, over all partitions.

        Raises:
            Refusal: 400 a position can never be passed; 503 some partition cannot answer.
        """

        def here(reads: Reads, partition: int) -> Page:
            rows = reads.scan(table.table.name, partition, prefix=scan.prefix, after=scan.after, limit=scan.limit + 1)
            return page_of(rows, scan.limit)

        wanted = await self._wanted(table, asked)
        return merge(await self._gather(table, wanted, asked, here, page_in), scan.limit)

    async def _partition_of(self, table: TableOfStage, key: bytes) -> int:
        reads = self._places.reads(table.spec)
        if reads is not None:
            with suppress(HeadraceError):  # it has not reached the cluster yet: go on as if it were elsewhere
                return reads.partition_of(key)
        return partition_of(key, await self._directory.partitions(table.spec))

    async def _wanted(self, table: TableOfStage, asked: Asked) -> Collection[int]:
        if asked.partitions is not None:
            return asked.partitions
        return range(await self._directory.partitions(table.spec))

    async def _gather(
        self,
        table: TableOfStage,
        wanted: Collection[int],
        asked: Asked,
        here: LocalRead[T],
        there: RemoteRead[T],
    ) -> list[T]:
        """One result for each partition that is here, and one for each worker that has others."""
        if asked.positions:
            check_positions(asked.positions, table.spec, await self._directory.partitions(table.spec))
        left = await self._passing.wait(table, wanted, asked)
        local = await self._here.read(table, wanted, here)
        by_worker = await self._places.elsewhere(table, set(wanted) - local.keys(), asked)
        answers = await asyncio.gather(
            *(self._read_there(table, worker, parts, asked, left, there) for worker, parts in by_worker.items()),
        )
        return [*local.values(), *answers]

    async def _read_there(
        self,
        table: TableOfStage,
        worker: str,
        partitions: Sequence[int],
        asked: Asked,
        left: Positions,
        there: RemoteRead[T],
    ) -> T:
        """Ask `worker`, which checks the positions of its partitions again: they may have moved since."""
        own = {tp: offset for tp, offset in asked.positions.items() if tp.partition in partitions}
        question = replace(asked, positions={**left, **own})
        return await self._there.read(table, worker, partitions, question, there)
