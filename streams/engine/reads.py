"""Committed rows of this worker's table partitions, for readers on other threads.

Answers come only from partitions that are owned and restored; anything else is `NotServedHere`.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from streams.config import Settings
from streams.engine.loop import StageLoop
from streams.engine.owners import owners_of
from streams.engine.partitioner import partition_of
from streams.engine.stage import StageSpec, TableSpec
from streams.engine.state import TablePartition
from streams.engine.stores import StoreClosed
from streams.errors import HeadraceError


class NotServedHere(HeadraceError):
    """The partition is not owned by this worker, or is being restored, or is closing."""


@dataclass(frozen=True, slots=True)
class Row:
    """A committed row; `position` says how far the table had followed its lead: `topic/partition=offset`."""

    key: bytes
    value: Any
    position: str


class StageReads:
    """Reads one stage's tables on this worker."""

    def __init__(self, spec: StageSpec, settings: Settings, loop: StageLoop | None) -> None:
        self._spec = spec
        self._settings = settings
        self._loop = loop

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """The stage's tables."""
        return self._spec.tables

    def local_partitions(self) -> list[int]:
        """Partitions that are owned here and restored."""
        ownership = self._loop.ownership if self._loop is not None else None
        if ownership is None:
            return []
        return sorted(p for p in list(ownership.states) if ownership.running(p))

    def partition_of(self, key: bytes) -> int:
        """Partition of a row of a `by="key"` table.

        Raises:
            NotServedHere: the cluster was not reached yet.
        """
        partitions = self._loop.partition_count if self._loop is not None else 0
        if not partitions:
            raise NotServedHere(f"stage {self._spec.name} has not reached the cluster yet")
        return partition_of(key, partitions)

    def _table(self, table: str, partition: int) -> TablePartition:
        ownership = self._loop.ownership if self._loop is not None else None
        if ownership is None or not ownership.running(partition):
            raise NotServedHere(f"partition {partition} of {self._spec.name}.{table} is not served by this worker")
        try:
            return ownership.tables[table, partition]
        except KeyError:
            raise NotServedHere(f"partition {partition} of {self._spec.name}.{table} is closing") from None

    def get(self, table: str, partition: int, key: bytes) -> Row | None:
        """One row, or None.

        Raises:
            NotServedHere: see the module.
        """
        of = self._table(table, partition)
        position = of.position
        try:
            raw = of.store.get(key)
        except StoreClosed as error:
            raise NotServedHere(str(error)) from error
        return None if raw is None else Row(key, orjson.loads(raw), position)

    def scan(
        self, table: str, partition: int, *, prefix: bytes = b"", after: bytes | None = None, limit: int = 100
    ) -> list[Row]:
        """Rows of one partition in key order.

        Raises:
            NotServedHere: see the module.
        """
        of = self._table(table, partition)
        position = of.position
        try:
            rows = of.store.scan(prefix, after, limit)
        except StoreClosed as error:
            raise NotServedHere(str(error)) from error
        return [Row(key, orjson.loads(raw), position) for key, raw in rows]

    async def owners(self) -> dict[int, str]:
        """Lead partition -> base URL of the worker that owns it."""
        return await owners_of(self._settings, self._spec.group)
