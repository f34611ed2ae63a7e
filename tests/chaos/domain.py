"""The domain of the chaos runs: a stage that counts records of two sources into one table and emits every update.

HEADRACE_APP=tests.chaos.domain. With CHAOS_CRASH_AFTER=n the worker dies without a word between the Kafka commit and
the store write of its n-th transaction with writes: the gap that a store's mark has to close.
"""

import os
from pathlib import Path
from typing import Any

from streams.app import World
from streams.commerce.conversions import converters
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.ownership import OpenStore
from streams.engine.stage import StageSpec, TableSpec
from streams.engine.stores import Mark, MemoryStore, RocksStore, Rows, Store

# The converters are for runs on the example's topology.
__all__ = ["FOLLOW", "LEAD", "OUT", "converters", "stage_app", "stage_specs"]

LEAD, FOLLOW, OUT = "counting.lead", "counting.follow", "counting.out"
_left_to_crash = int(os.environ.get("CHAOS_CRASH_AFTER", "0"))


def _maybe_crash(rows: Rows) -> None:
    global _left_to_crash  # noqa: PLW0603 one process, one countdown
    if _left_to_crash and rows != ():
        _left_to_crash -= 1
        if _left_to_crash == 0:
            os._exit(9)


class CrashingRocksStore(RocksStore):
    def apply(self, rows: Rows, mark: Mark) -> None:
        _maybe_crash(rows)
        super().apply(rows, mark)


class CrashingMemoryStore(MemoryStore):
    def apply(self, rows: Rows, mark: Mark) -> None:
        _maybe_crash(rows)
        super().apply(rows, mark)


def stage_specs(topology: Any) -> list[StageSpec]:
    del topology
    return [StageSpec("counting", (LEAD, FOLLOW), (TableSpec("counts"),), frozenset({OUT}))]


def stage_app(spec: StageSpec, world: World, *, web_enabled: bool) -> StageApp:
    settings = world.settings
    app = StageApp(
        spec, settings, open_store=_opener(settings.store, settings.state_dir / spec.name), web_enabled=web_enabled
    )

    async def count(batches: Any) -> None:
        async for batch in batches:
            _count(batch)

    for source in spec.sources:
        app.agent(app.topic(source), name=f"count {source}")(count)
    return app


def _opener(kind: str, folder: Path) -> OpenStore:
    def open_store(table: TableSpec, partition: int) -> Store:
        if kind == "memory":
            return CrashingMemoryStore()
        return CrashingRocksStore(folder / table.name / str(partition))

    return open_store


def _count(batch: Batch) -> None:
    counts = batch.state("counts")
    emit = batch.out.append

    def handle(record: Any) -> None:
        key = record.key()
        count = counts.get(key, 0) + 1
        counts.set(key, count)
        emit((OUT, b"%s:%d" % (record.value(), count), key, batch.partition, 0, None))

    batch.each(handle)
