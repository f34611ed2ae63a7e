"""Which partitions' timers may fire: their time has come, and the partition has been read to the end seen then."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import KafkaException

from streams.engine.cycle import Cycle
from streams.engine.stage import TP, WAKEUPS, StageSpec
from streams.engine.state import TablePartition
from streams.engine.wakeups import DUE, Wakeup, first_due_ms, take_due

FIRED_RECORDS = 500  # wake-ups of a partition that one cycle delivers at most
_ASK_AGAIN_S = 0.5

Ends = Mapping[TP, "Future[Any]"]
WakeupRuns = list[tuple[TP, list[Wakeup]]]


@dataclass(slots=True)
class _Question:
    """Where a partition's sources ended at a moment."""

    asked_at_ms: int
    ends: Ends
    asked_at: float = field(default_factory=time.monotonic)


class Timers:
    """The timers of a stage's partitions; nothing where the stage has none.

    Args:
        spec: the stage.
        ask_ends: asks for the ends of partitions, transactions that are still open included.
        reached: whether everything before an offset of a partition was handled.
    """

    def __init__(
        self, spec: StageSpec, ask_ends: Callable[[Iterable[TP]], Ends], reached: Callable[[TP, int], bool]
    ) -> None:
        self._spec = spec
        self._ask_ends = ask_ends
        self._reached = reached
        self._tables: dict[int, TablePartition] = {}
        self._first_due_ms: dict[int, int | None] = {}
        self._questions: dict[int, _Question] = {}

    def opened(self, table: TablePartition) -> None:
        """A partition's table of wake-ups is restored."""
        self._tables[table.partition] = table
        self._look(table.partition)

    def closed(self, partitions: Iterable[int]) -> None:
        """Partitions went away, or are opened again."""
        for partition in partitions:
            self._tables.pop(partition, None)
            self._first_due_ms.pop(partition, None)
            self._questions.pop(partition, None)

    def _look(self, partition: int) -> None:
        rows = self._tables[partition].store.scan(DUE, None, 1)
        self._first_due_ms[partition] = first_due_ms(rows[0][0]) if rows else None

    def patience_s(self, longest_s: float) -> float:
        """How long to wait for records, at most until the next timer is due."""
        dues = [due for due in self._first_due_ms.values() if due is not None]
        if not dues:
            return longest_s
        return min(longest_s, max(min(dues) / 1000 - time.time(), 0.01))

    def ready(self) -> dict[int, int]:
        """Partitions whose timers may fire now: those that were due at this unix time in milliseconds.

        Asked before records are received, so that all that it goes by has been handled.
        """
        now_ms = time.time_ns() // 1_000_000
        ready = {}
        for partition, due_ms in self._first_due_ms.items():
            if due_ms is None or due_ms > now_ms:
                continue
            question = self._questions.get(partition)
            if question is None:
                tps = [TP(topic, partition) for topic in self._spec.sources]
                self._questions[partition] = _Question(now_ms, self._ask_ends(tps))
            elif self._is_answered(partition, question):
                ready[partition] = question.asked_at_ms
        return ready

    def _is_answered(self, partition: int, question: _Question) -> bool:
        """Whether the partition has been read to the ends that were asked for."""
        if not all(future.done() for future in question.ends.values()):
            return False
        try:
            ends = {tp: int(future.result().offset) for tp, future in question.ends.items()}
        except KafkaException:
            ends = {}
        if not ends or min(ends.values()) < 0:  # a leader moves: ask again, a moment later
            if time.monotonic() - question.asked_at > _ASK_AGAIN_S:
                del self._questions[partition]
            return False
        return all(self._reached(tp, end) for tp, end in ends.items())

    def fire(self, cycle: Cycle, ready: Mapping[int, int]) -> WakeupRuns:
        """What is due, taken out of the tables in this cycle's transaction."""
        runs = []
        for partition, due_at_ms in ready.items():
            table = self._tables.get(partition)
            if table is None:
                continue
            self._questions.pop(partition, None)
            self._first_due_ms[partition] = None  # until the cycle has ended
            writes = cycle.write_set(WAKEUPS, partition)
            committed = [key for key, _ in table.store.scan(DUE, None, FIRED_RECORDS)]
            channel = self._spec.wakeups_channel
            make = partial(Wakeup, channel, partition)
            taken = take_due(writes, list(writes.rows), committed, due_at_ms, FIRED_RECORDS, make)
            writes.settle()
            if taken:
                runs.append((TP(channel, partition), taken))
        return runs

    def ended(self) -> None:
        """A cycle was committed, or given up: what is in the tables counts."""
        for partition in self._tables:
            self._look(partition)
