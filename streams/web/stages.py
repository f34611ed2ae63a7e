"""What the web server needs from the stages of its process; the engine's StageApp is one of these.

Knows no Faust: the tests serve plain classes through the same doors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.engine.owners import Owners
from streams.engine.stage import TP, StageSpec, TableSpec
from streams.engine.status import StageStatus


class Row(Protocol):
    """A committed row; `position` is the last record of its lead that it reflects: `topic/partition=offset`."""

    @property
    def key(self) -> bytes:
        """As in the changelog."""
        ...

    @property
    def value(self) -> object:
        """As JSON says it."""
        ...

    @property
    def position(self) -> str:
        """`topic/partition=offset`."""
        ...


class Reads(Protocol):
    """Committed reads of one stage, safe from any thread.

    Every method may raise a HeadraceError: the partition is not owned, restoring or closing. What was read may be
    given away only when this worker's ownership is proven afterwards: local_reads.py.
    """

    def partition_of(self, key: bytes) -> int:
        """Partition that a key of a table by key lives in."""
        ...

    def tenures(self) -> Mapping[int, int]:
        """Partitions that are owned here and restored; another number each time a partition is opened."""
        ...

    @property
    def lease_holds(self) -> bool:
        """Whether a recent commit proves that nobody else has taken this worker's partitions over."""
        ...

    @property
    def member_id(self) -> str:
        """This worker's name in the stage's group."""
        ...

    async def wait_passed(self, positions: Mapping[TP, int], timeout_s: float) -> bool:
        """Wait until the tables reflect these records; False when time is up or a partition moved away."""
        ...

    def get(self, table: str, partition: int, key: bytes) -> Row | None:
        """One row, or None."""
        ...

    def scan(
        self, table: str, partition: int, *, prefix: bytes = b"", after: bytes | None = None, limit: int = 100
    ) -> Sequence[Row]:
        """Rows in key order."""
        ...

    async def owners(self) -> Owners:
        """Who owns the partitions."""
        ...


class ServedStage(Protocol):
    """A stage that runs in this process."""

    @property
    def spec(self) -> StageSpec:
        """What the stage is."""
        ...

    def reads(self) -> Reads:
        """Its tables."""
        ...

    def status(self) -> StageStatus:
        """How it is."""
        ...


@dataclass(frozen=True, slots=True)
class TableOfStage:
    """A table under the name that people use: `<stage>.<table>`."""

    spec: StageSpec
    table: TableSpec

    @property
    def name(self) -> str:
        """`<stage>.<table>`."""
        return f"{self.spec.name}.{self.table.name}"


def tables_of(stages: Sequence[StageSpec]) -> dict[str, TableOfStage]:
    """All tables of `stages` by their full names."""
    found = [TableOfStage(spec, table) for spec in stages for table in spec.tables]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}
