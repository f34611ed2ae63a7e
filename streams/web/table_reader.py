"""Answers for a table from wherever its partitions are: here, or one hop away at their owners.

Every answer covers all the partitions that it speaks for, each of them owned and restored by who answered;
where one is missing the whole is refused with 503. So an absent key is truly not there, and a list misses
nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from streams.engine.partitioner import partition_of
from streams.errors import HeadraceError
from streams.web.answers import page_in, rows_in
from streams.web.directory import Directory
from streams.web.hop import Answer, Asked, Hop
from streams.web.paging import Keyed, Page, merge, page_of
from streams.web.parameters import Scan
from streams.web.refusals import Refusal, no_such_key, unavailable
from streams.web.stages import Reads, ServedStage, TableOfStage

T = TypeVar("T")
LocalRead = Callable[[Reads, int], T]
RemoteRead = Callable[[Answer], T]


class TableReader:
    """Reads tables of all stages of the topology.

    Args:
        stages: those that run in this process, by name.
        directory: who owns the other partitions.
        hop: the way to them.
    """

    def __init__(self, stages: Mapping[str, ServedStage], directory: Directory, hop: Hop) -> None:
        self._stages = stages
        self._directory = directory
        self._hop = hop

    async def get(self, table: TableOfStage, key: bytes, asked: Asked) -> Keyed:
        """The row of `key`.

        Raises:
            Refusal: 404 there is none; 409 several partitions have one; 503 nobody can say.
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
            Refusal: 503 some partition cannot answer.
        """

        def here(reads: Reads, partition: int) -> Page:
            rows = reads.scan(table.table.name, partition, prefix=scan.prefix, after=scan.after, limit=scan.limit + 1)
            return page_of(rows, scan.limit)

        wanted = await self._wanted(table, asked)
        return merge(await self._gather(table, wanted, asked, here, page_in), scan.limit)

    async def _partition_of(self, table: TableOfStage, key: bytes) -> int:
        stage = self._stages.get(table.spec.name)
        if stage is not None:
            with suppress(HeadraceError):  # it has not reached the cluster yet: go on as if it were elsewhere
                return stage.reads().partition_of(key)
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
        local = self._local(table) & set(wanted)
        by_worker = await self._owners(table, set(wanted) - local, asked)
        answers = await asyncio.gather(
            self._read_here(table, sorted(local), here),
            *(self._read_there(table, worker, parts, asked, there) for worker, parts in by_worker.items()),
        )
        return [result for results in answers for result in results]

    def _local(self, table: TableOfStage) -> set[int]:
        stage = self._stages.get(table.spec.name)
        if stage is None:
            return set()
        try:
            return set(stage.reads().local_partitions())
        except HeadraceError:  # not started yet: nothing is here
            return set()

    async def _owners(self, table: TableOfStage, missing: Iterable[int], asked: Asked) -> Mapping[str, Sequence[int]]:
        missing = sorted(missing)
        by_worker: dict[str, list[int]] = defaultdict(list)
        if not missing:
            return by_worker
        if asked.forwarded:  # a second hop could go round in circles
            raise unavailable(f"worker {self._hop.own_url} does not serve {_named(missing, table)}")
        own = self._hop.own_url
        owners = await self._directory.owners(table.spec)
        for partition in missing:
            by_worker[owners.get(partition, "")].append(partition)
        if "" in by_worker:
            raise unavailable(f"no worker owns {_named(by_worker[''], table)}")
        if own in by_worker:
            raise unavailable(f"{_named(by_worker[own], table)}: worker {own} is still restoring")
        return by_worker

    async def _read_here(self, table: TableOfStage, partitions: Sequence[int], here: LocalRead[T]) -> list[T]:
        if not partitions:
            return []
        reads = self._stages[table.spec.name].reads()
        with _refusing(table):  # in a thread: a scan must not hold up the agents on the loop
            return await asyncio.to_thread(lambda: [here(reads, partition) for partition in partitions])

    async def _read_there(
        self,
        table: TableOfStage,
        worker: str,
        partitions: Sequence[int],
        asked: Asked,
        there: RemoteRead[T],
    ) -> list[T]:
        try:
            answer = await self._hop.ask(worker, asked, partitions)
            return [there(answer)]
        except Refusal:
            self._directory.forget(table.spec)
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise unavailable(f"worker {worker} answered what no worker should") from error


def _named(partitions: Iterable[int], table: TableOfStage) -> str:
    return f"{table.name}, partition {', '.join(map(str, partitions))}"


@contextmanager
def _refusing(table: TableOfStage) -> Iterator[None]:
    """Turn what the engine refuses (not owned, restoring, closing) into 503."""
    try:
        yield
    except HeadraceError as error:
        raise unavailable(f"{table.name}: {error}") from error
