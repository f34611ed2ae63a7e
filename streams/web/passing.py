"""Waits until a stage's view has passed the positions that a request names, wherever their partitions are.

A position names its partition, so that partition's owner decides, also where a row of another one is asked for. All
have passed before anything is read.
"""

import asyncio
from collections.abc import Collection, Mapping
from urllib.parse import quote

from streams.engine.stage import TP
from streams.web.answers import page_in
from streams.web.hop import WAIT_SECONDS, Asked
from streams.web.places import Places
from streams.web.positions import text_of_positions
from streams.web.refusals import unavailable
from streams.web.remote_reads import RemoteReads
from streams.web.stages import TableOfStage

Positions = Mapping[TP, int]


class Passing:
    """Waits here and at other workers.

    Args:
        places: who has which partition.
        there: asks other workers.
    """

    def __init__(self, places: Places, there: RemoteReads) -> None:
        self._places = places
        self._there = there

    async def wait(self, table: TableOfStage, wanted: Collection[int], asked: Asked) -> Positions:
        """Wait for the positions of `asked`; returns those that whoever answers for `wanted` has to wait for.

        Raises:
            Refusal: 503, some were not passed in time, or nobody serves their partition.
        """
        positions = asked.positions
        if not positions:
            return {}
        here = self._places.here(table.spec).keys()
        needed = {tp.partition for tp in positions} | set(wanted)
        by_worker = await self._places.elsewhere(table, needed - here, asked)
        if len(by_worker) == 1 and not needed & here:  # one worker has it all: it waits, and then it reads
            return positions
        shares = [(worker, _within(positions, partitions)) for worker, partitions in by_worker.items()]
        await asyncio.gather(
            self._wait_here(table, _within(positions, here)),
            *(self._wait_there(table, worker, share, asked) for worker, share in shares if share),
        )
        return {}

    async def _wait_here(self, table: TableOfStage, positions: Positions) -> None:
        reads = self._places.reads(table.spec)
        if positions and (reads is None or not await reads.wait_passed(positions, WAIT_SECONDS)):
            raise unavailable(f"{table.name} has not passed {text_of_positions(positions)} yet")

    async def _wait_there(self, table: TableOfStage, worker: str, positions: Positions, asked: Asked) -> None:
        """Let `worker` wait, by asking it for the first row of the partitions in question."""
        target = f"/api/tables/{quote(table.name, safe='')}?limit=1"
        question = Asked(target, authorization=asked.authorization, positions=positions)
        await self._there.read(table, worker, {tp.partition for tp in positions}, question, page_in)


def _within(positions: Positions, partitions: Collection[int]) -> Positions:
    return {tp: offset for tp, offset in positions.items() if tp.partition in partitions}
