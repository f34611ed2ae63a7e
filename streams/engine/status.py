"""What a stage says of itself to people and other programs. Plain data."""

from dataclasses import dataclass
from typing import Literal

from streams.engine.stage import TableSpec

StageState = Literal["waiting", "starting", "restoring", "running", "stopping", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One owned partition of one source; restore figures are changelog offsets summed over the stage's tables."""

    topic: str
    partition: int
    state: str
    lag: int | None
    restored: int
    restore_target: int


@dataclass(frozen=True, slots=True)
class StageStatus:
    """A stage on this worker; `reason` says what it waits for or why it failed."""

    name: str
    group: str
    state: StageState
    reason: str
    instance: str
    partitions: tuple[PartitionStatus, ...]
    tables: tuple[TableSpec, ...]
    counters: dict[str, float]
