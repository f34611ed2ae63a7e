"""Committed rows of this worker's table partitions, for readers on other threads.

Answers come only from partitions that are owned and restored; anything else is `NotServedHere`. Whether this worker
still owns what it believes to own, the caller has to ask after it has read: `tenures`, `lease_holds`, `owners`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from streams.config import Settings
from streams.engine.loop import StageLoop
from streams.engine.owners import Owners, owners_of
from streams.engine.ownership import Ownership
from streams.engine.partitioner import partition_of
from streams.engine.stage import TP, StageSpec, TableSpec
from streams.engine.state import TablePartition
from streams.engine.stores import StoreClosed
from streams.errors import HeadraceError


class NotServedHere(HeadraceError):
    """The partition is not owned by this worker, or is being restored, or is closing."""


@dataclass(frozen=True, slots=True)
class Row:
    """A committed row; `position` is the last record of its lead that it reflects: `topic/partition=offset`."""

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

    @property
    def _ownership(self) -> Ownership | None:
        return self._loop.ownership if self._loop is not None else None

    def local_partitions(self) -> list[int]:
        """Partitions that are owned here and restored."""
        return sorted(self.tenures())

    def tenures(self) -> dict[int, int]:
        """Partitions that are owned here and restored; the number is another one each time a partition is opened."""
        ownership = self._ownership
        if ownership is None:
            return {}
        return {p: tenure for p, tenure in list(ownership.tenures.items()) if ownership.running(p)}

    @property
    def lease_holds(self) -> bool:
        """Whether a recent commit proves that nobody else has taken this worker's partitions over."""
        return self._loop is not None and self._loop.lease.holds()

    @property
    def member_id(self) -> str:
        """This worker's name in the group, as `owners` tells it."""
        return self._ownership.member_id if self._ownership is not None else ""

    async def wait_passed(self, positions: Mapping[TP, int], timeout_s: float) -> bool:
        """Wait until the tables reflect these records; False when time is up or a partition moved away."""
        return self._ownership is not None and await self._ownership.passed.wait(positions, timeout_s)

    def partition_of(self, key: bytes) -> int:
        """Partition of a row of a `by="key"` table.

        Raises:
            NotServedHere: the cluster was not reached yet.
        """
        partitions = self._loop.partition_count if self._loop is not None else 0
        if not partitions:
            raise NotServedHere(f"stage {self._spec.name} has not reached the cluster yet")
        return partition_of(key, partitions)

    def _table(self, table: str, partition: int) -> tuple[TablePartition, str]:
        """A table's partition, and the position that its rows have reached at least."""
        ownership = self._ownership
        if ownership is None or not ownership.running(partition):
            raise NotServedHere(f"partition {partition} of {self._spec.name}.{table} is not served by this worker")
        of, lead = ownership.tables.get((table, partition)), TP(self._spec.lead, partition)
        last = ownership.passed.last(lead)
        if of is None or last is None:
            raise NotServedHere(f"partition {partition} of {self._spec.name}.{table} is closing")
        return of, f"{lead}={last}"

    def get(self, table: str, partition: int, key: bytes) -> Row | None:
        """One row, or None.

        Raises:
            NotServedHere: see the module.
        """
        of, position = self._table(table, partition)
        try:
            raw = of.store.get(key)
        except StoreClosed as error:
            raise NotServedHere(str(error)) from error
        return None if raw is None else Row(key, _value_of(raw, of.spec), position)

    def scan(
        self, table: str, partition: int, *, prefix: bytes = b"", after: bytes | None = None, limit: int = 100
    ) -> list[Row]:
        """Rows of one partition in key order.

        Raises:
            NotServedHere: see the module.
        """
        of, position = self._table(table, partition)
        try:
            rows = of.store.scan(prefix, after, limit)
        except StoreClosed as error:
            raise NotServedHere(str(error)) from error
        return [Row(key, _value_of(raw, of.spec), position) for key, raw in rows]

    async def owners(self) -> Owners:
        """Who owns the partitions of the lead, as the group's coordinator says."""
        return await owners_of(self._settings, self._spec.group)


def _value_of(raw: bytes, table: TableSpec) -> Any:
    """A row's value for a reader; bytes that are no JSON object are shown in base64, as JSON has it for bytes."""
    if table.values == "bytes" and not raw.startswith(b"{"):
        return base64.b64encode(raw).decode()
    return orjson.loads(raw)
