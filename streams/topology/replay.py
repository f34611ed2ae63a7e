"""Where a stage's offsets would go and what that costs: scenarios, logs and offsets in, moves out. Pure.

The scenarios are those of kafka-consumer-groups --reset-offsets, with its limits: an offset outside of the log becomes
the log's start or end, a time after the last record means the end, a shift needs an offset to shift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.errors import HeadraceError


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


Offsets = Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class ToEarliest:
    """The first record that the log still has."""


@dataclass(frozen=True, slots=True)
class ToLatest:
    """The next record that comes."""


@dataclass(frozen=True, slots=True)
class ToCurrent:
    """Where the group stands; the end where it stands nowhere."""


@dataclass(frozen=True, slots=True)
class ToOffset:
    """One offset for every partition."""

    offset: int


@dataclass(frozen=True, slots=True)
class ShiftBy:
    """So many offsets forward, or back if negative."""

    by: int


@dataclass(frozen=True, slots=True)
class ToTime:
    """The first record whose timestamp is this or later, in milliseconds since 1970."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class ToGiven:
    """An offset for each partition, from an undo file."""

    offsets: Offsets


Scenario = ToEarliest | ToLatest | ToCurrent | ToOffset | ShiftBy | ToTime | ToGiven


@dataclass(frozen=True, slots=True)
class Log:
    """One partition's log.

    Args:
        start: offset of the first record that is still there.
        end: offset that the next record gets.
        at_time: offset of the first record at or after the time of `ToTime`; None where there is none.
    """

    start: int
    end: int
    at_time: int | None = None

    def clamped(self, offset: int) -> int:
        """The nearest offset from which reading can begin."""
        return max(self.start, min(offset, self.end))


@dataclass(frozen=True, slots=True)
class Move:
    """One partition, before and after.

    Args:
        partition: which.
        log: its records.
        before: the group's offset; None where it has none.
        after: the offset to set.
    """

    partition: Partition
    log: Log
    before: int | None
    after: int

    @property
    def reprocessed(self) -> int | None:
        """Offsets that the group has passed and would pass again; None where it stands nowhere."""
        return None if self.before is None else max(0, self._stands(self.before) - self._stands(self.after))

    @property
    def skipped(self) -> int | None:
        """Offsets that the group has not passed and never would; None where it stands nowhere."""
        return None if self.before is None else max(0, self._stands(self.after) - self._stands(self.before))

    def _stands(self, offset: int) -> int:
        """Records that are gone, or not there yet, are neither processed again nor skipped."""
        return self.log.clamped(offset)


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a replay would do, partition by partition, and where it does other than was asked."""

    moves: tuple[Move, ...]
    warnings: tuple[str, ...]

    @property
    def targets(self) -> dict[Partition, int]:
        """The offset to set for each partition."""
        return {move.partition: move.after for move in self.moves}

    @property
    def undo(self) -> dict[Partition, int]:
        """The offsets before; not of partitions without one."""
        return {move.partition: move.before for move in self.moves if move.before is not None}

    @property
    def changes(self) -> bool:
        """Whether any offset would be another one."""
        return any(move.before != move.after for move in self.moves)


def plan_replay(scenario: Scenario, logs: Mapping[Partition, Log], current: Offsets) -> ReplayPlan:
    """Where each partition of `logs` would go.

    Args:
        scenario: what is wanted; `ToGiven` must name every partition of `logs`.
        logs: of the partitions to move.
        current: the group's offsets, without those that it lacks.

    Raises:
        HeadraceError: a shift of a partition that has no offset.
    """
    if isinstance(scenario, ShiftBy) and (lacking := [each for each in sorted(logs) if each not in current]):
        raise HeadraceError(
            f"no offset to shift: {listed(lacking)}; take another scenario, or choose other partitions with --topic"
        )
    moves, warnings = [], []
    for partition, log in sorted(logs.items()):
        before = current.get(partition)
        after, warning = _target(scenario, partition, log, before)
        moves.append(Move(partition, log, before, after))
        warnings += [f"{partition}: {warning}"] if warning else []
    return ReplayPlan(tuple(moves), tuple(warnings))


def _target(scenario: Scenario, partition: Partition, log: Log, before: int | None) -> tuple[int, str]:
    """The offset to set, and why it is not the one that was asked for."""
    match scenario:
        case ToEarliest():
            asked = log.start
        case ToLatest():
            asked = log.end
        case ToCurrent():
            return (log.end, f"the group has no offset; the end {log.end} is taken") if before is None else (before, "")
        case ToOffset(offset):
            asked = offset
        case ShiftBy(by):
            asked = (before or 0) + by
        case ToGiven(offsets):
            asked = offsets[partition]
        case ToTime():
            if log.at_time is None:
                late = f"no record at that time or later; the end {log.end} is taken" if log.end > log.start else ""
                return log.end, late
            asked = log.at_time
    return _within(log, asked)


def _within(log: Log, offset: int) -> tuple[int, str]:
    if offset > log.end:
        return log.end, f"offset {offset} is after the end; the end {log.end} is taken"
    if offset < log.start:
        return log.start, f"offset {offset} is before the start; the start {log.start} is taken"
    return offset, ""


def listed(partitions: Sequence[Partition]) -> str:
    """Partitions by topic, as `orders/0,1, returns/0`."""
    numbers: dict[str, list[str]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(str(number))
    return ", ".join(f"{topic}/{','.join(each)}" for topic, each in numbers.items())
