"""The waiting records of all partitions that a stage owns: what is due, what stands still, what a commit settles."""

import random
import time
from collections.abc import Callable, Iterable
from itertools import groupby

from streams.engine.cycle import Cycle
from streams.engine.deferral import Deferral, Halt
from streams.engine.parked_record import ParkedRecord
from streams.engine.parked_rows import HEAD
from streams.engine.parking import Parking
from streams.engine.retrying import Circuit, CircuitState, RetryPolicy
from streams.engine.stage import PARKED, TP
from streams.engine.state import TablePartition

DRAINED_RECORDS = 500  # parked records of a partition that one cycle handles at most
_ALL = 1 << 31

ParkedRuns = list[tuple[TP, list[ParkedRecord]]]


class Deferrals:
    """Parking and circuits by partition; empty where the stage has no retry policy.

    Args:
        policy: the stage's, or None.
        stand_still: pauses a source partition at an offset.
        go_on: resumes it.
    """

    def __init__(
        self, policy: RetryPolicy | None, stand_still: Callable[[TP, int], None], go_on: Callable[[TP], None]
    ) -> None:
        self._policy = policy
        self._stand_still = stand_still
        self._go_on = go_on
        self._parkings: dict[int, Parking] = {}
        self._circuits: dict[int, Circuit] = {}
        self._halted: dict[TP, Halt] = {}

    # -- partitions come and go

    def opened(self, table: TablePartition) -> None:
        """The table `parked` of a partition is restored."""
        if self._policy is not None:
            parking = self._parkings[table.partition] = Parking(self._policy)
            parking.load(table.store.scan(HEAD, None, _ALL))
            self._circuits.setdefault(table.partition, Circuit(self._policy, random.random))

    def closed(self, partitions: Iterable[int]) -> None:
        """Partitions went away, or are opened again."""
        gone = set(partitions)
        for partition in gone:
            self._parkings.pop(partition, None)
        for tp in [tp for tp in self._halted if tp.partition in gone]:
            self._resume(tp)

    def of(self, partition: int, cycle: Cycle) -> Deferral | None:
        """What a batch of this partition needs."""
        parking = self._parkings.get(partition)
        if parking is None:
            return None
        return Deferral(parking, self._circuits[partition], cycle.write_set(PARKED, partition))

    # -- what is to be done now

    def work(self) -> bool:
        """Whether parked records are due or have to be buried."""
        now_ms = time.time_ns() // 1_000_000
        return any(
            parking.burying or (parking.is_due(now_ms) and self.passes(partition))
            for partition, parking in self._parkings.items()
        )

    def due(self, cycle: Cycle) -> ParkedRuns:
        """Parked records to handle in this cycle, in runs of one source topic and partition."""
        now_ms = time.time_ns() // 1_000_000
        runs: ParkedRuns = []
        for partition, parking in self._parkings.items():
            if not parking.is_due(now_ms) or not self.passes(partition):
                continue
            records = parking.take_due(cycle.write_set(PARKED, partition), now_ms, DRAINED_RECORDS)
            records.sort(key=ParkedRecord.topic)  # stable, and a queue's records are of one topic
            for topic, run in groupby(records, key=ParkedRecord.topic):
                runs.append((TP(topic, partition), list(run)))
        return runs

    def to_bury(self, cycle: Cycle) -> ParkedRuns:
        """Parked records that become letters, in runs of one source topic and partition."""
        runs: ParkedRuns = []
        for partition, parking in self._parkings.items():
            if parking.burying:
                buried = parking.bury(cycle.write_set(PARKED, partition), DRAINED_RECORDS)
                for topic, run in groupby(buried, key=ParkedRecord.topic):
                    runs.append((TP(topic, partition), list(run)))
        return runs

    def passes(self, partition: int) -> bool:
        """Whether records of a partition may be handled, as far as an outage goes."""
        return partition not in self._circuits or self._circuits[partition].try_again(time.monotonic())

    def patience_s(self, longest_s: float) -> float:
        """How long to wait for new records, at most until the next parked one is due."""
        if not self._parkings:
            return longest_s
        dues = [due for parking in self._parkings.values() if (due := parking.next_due_ms()) is not None]
        if not dues:
            return longest_s
        return min(longest_s, max(min(dues) / 1000 - time.time(), 0.001))

    # -- standing still

    def halt(self, halted: dict[TP, Halt]) -> None:
        """Batches met an outage, or found no room: their partitions stand still for a while."""
        for tp, halt in halted.items():
            self._halted[tp] = halt
            self._stand_still(tp, halt.offset)

    def go_on(self) -> None:
        """Let partitions go on whose time has come."""
        now = time.monotonic()
        for tp in [tp for tp, halt in self._halted.items() if halt.until <= now]:
            self._resume(tp)

    def _resume(self, tp: TP) -> None:
        del self._halted[tp]
        self._go_on(tp)

    def outage(self) -> str:
        """What the status says of an outage; empty where there is none."""
        opened = {p: c for p, c in self._circuits.items() if c.state is not CircuitState.CLOSED and p in self._parkings}
        if not opened:
            return ""
        wait = max(min(circuit.until for circuit in opened.values()) - time.monotonic(), 0)
        still = ", ".join(map(str, sorted(opened)))
        return f"an outage: transient failures of many keys; partitions {still} stand still, next try in {wait:.0f} s"

    def standing_still(self) -> set[TP]:
        """Source partitions from which nothing is read for a while."""
        return set(self._halted)

    def parked(self) -> dict[int, tuple[int, int]]:
        """Parked records and their bytes, by partition."""
        return {p: (sum(h.records for h in k.heads.values()), k.size) for p, k in self._parkings.items()}

    # -- the end of a cycle

    def committed(self) -> None:
        """What the cycle wrote is in the tables."""
        for parking in self._parkings.values():
            parking.committed()

    def rolled_back(self, tables: dict[tuple[str, int], TablePartition]) -> None:
        """The cycle was given up: see again what is committed."""
        for partition, parking in self._parkings.items():
            table = tables.get((PARKED, partition))
            if table is not None:
                parking.rolled_back(table)
