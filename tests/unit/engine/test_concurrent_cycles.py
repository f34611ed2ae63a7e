"""Cycle after cycle of records handled side by side, failing, waiting, given up: no key loses a record or its order."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.batch import Batch
from streams.engine.concurrency import RecordScope
from streams.engine.cycle import Cycle
from streams.engine.deferrals import Deferrals
from streams.engine.retrying import RetryPolicy
from streams.engine.returning import bury
from streams.engine.stage import PARKED, TP, TableSpec
from streams.engine.state import TablePartition
from streams.engine.stores import Mark, MemoryStore
from streams.errors import TransientError
from tests.unit.engine.records import KNOWN, LETTERS, OUT, PARTITION, SOURCE, record

AT = TP(SOURCE, PARTITION)
RETRIES = 3
FOR_EVER = 1 << 30
MOST_CYCLES = 400
BATCH_RECORDS = 4

# Of each record: its key, how often it fails, and how long it takes.
RECORDS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 0, 0, 1, RETRIES, FOR_EVER]),
        st.integers(0, 3),
    ),
    max_size=25,
)


class Stage:
    """What the engine's loop does with a partition, without Kafka: cycles that commit or are given up."""

    def __init__(self, records: list[tuple[int, int, int]], **policy_: int) -> None:
        policy = RetryPolicy(retries=RETRIES, initial_s=0, jitter=0, **policy_)  # type: ignore[arg-type]  # whole numbers
        table = TablePartition(TableSpec(PARKED, "source", "bytes"), PARTITION, "parked", MemoryStore())
        self.tables = {(PARKED, PARTITION): table}
        self.deferrals = Deferrals(policy, lambda _tp, _offset: None, lambda _tp: None)
        self.deferrals.opened(table)
        self.records = [record(n, b"%d" % n, key=b"k%d" % key) for n, (key, _, _) in enumerate(records)]
        self.failures = [fails for _, fails, _ in records]
        self.turns = [turns for _, _, turns in records]
        self.position = 0
        self.committed: dict[tuple[str, bytes | None], list[int]] = defaultdict(list)

    @property
    def is_done(self) -> bool:
        return self.position == len(self.records) and not self.deferrals.work()

    async def handle(self, each: Message, scope: RecordScope) -> None:
        number = int(each.value() or b"")
        scope.send(OUT, each.value(), each.key())
        for _ in range(self.turns[number]):
            await asyncio.sleep(0)
        if self.failures[number] == FOR_EVER:
            raise ValueError("a bug")
        if self.failures[number]:
            self.failures[number] -= 1
            raise TransientError("busy")

    def run_cycle(self, size: int, within_s: float, *, commits: bool) -> None:
        self.deferrals.go_on()
        cycle = Cycle(self.tables)
        new = [] if AT in self.deferrals.standing_still() else self.records[self.position : self.position + size]
        runs: list[list[Any]] = [run for _, run in self.deferrals.due(cycle)]
        runs += [new[i : i + BATCH_RECORDS] for i in range(0, len(new), BATCH_RECORDS)]
        batches = [self._batch(run, cycle, defers=True) for run in runs]
        cycle.expect(len(batches))
        for batch in batches:
            asyncio.run(batch.each_async(self.handle, concurrency=3, within_s=within_s))
            cycle.acknowledge(batch)
        for _, run in self.deferrals.to_bury(cycle):
            batches.append(self._batch(run, cycle, defers=False))
            bury(batches[-1])
        for batch in batches:
            cycle.keep(batch)
        self.deferrals.halt(cycle.halted)
        if commits:
            self._commit(cycle, batches)
        else:
            cycle.die()
            self.deferrals.rolled_back(self.tables)

    def _batch(self, run: list[Any], cycle: Cycle, *, defers: bool) -> Batch:
        deferral = self.deferrals.of(PARTITION, cycle) if defers else None
        return Batch(
            SOURCE, PARTITION, run, stage="s", dead_letters=LETTERS, known_topics=KNOWN, cycle=cycle, deferral=deferral
        )

    def _commit(self, cycle: Cycle, batches: list[Batch]) -> None:
        for batch in batches:
            for topic, value, key, *_ in batch.out:
                self.committed[topic, key].append(int(value or b""))
        self.position = cycle.next.get(AT, self.position)
        for at, writes in cycle.write_sets.items():
            self.tables[at].store.apply(writes.in_bytes().items(), Mark("c", "t", 0, 0.0))
        self.deferrals.committed()


@settings(max_examples=60)
@given(
    records=RECORDS,
    outage_failures=st.sampled_from([2, 1000]),
    most_of_a_key=st.sampled_from([2, 1000]),
    most_bytes=st.sampled_from([50, 1 << 30]),
    size=st.integers(1, 10),
    within_s=st.sampled_from([0.001, 4.0]),
    given_up=st.sets(st.integers(0, 15)),
)
def test_outputs_of_a_key_are_its_records_up_to_the_first_that_fails_for_ever_and_letters_the_rest(
    records: list[tuple[int, int, int]],
    outage_failures: int,
    most_of_a_key: int,
    most_bytes: int,
    size: int,
    within_s: float,
    given_up: set[int],
) -> None:
    stage = Stage(records, outage_failures=outage_failures, most_of_a_key=most_of_a_key, most_bytes=most_bytes)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("deferral", "concurrency"):
            patch.setattr(f"streams.engine.{module}.FULL_S", 0.0)
        for number in range(MOST_CYCLES):
            if stage.is_done:
                break
            stage.run_cycle(size, within_s if number < MOST_CYCLES // 2 else 4.0, commits=number not in given_up)
    assert stage.is_done
    for key in range(4):
        numbers = [n for n, (at, _, _) in enumerate(records) if at == key]
        bad = next((n for n in numbers if records[n][1] == FOR_EVER), len(records))
        assert stage.committed[OUT, b"k%d" % key] == [n for n in numbers if n < bad]
        assert stage.committed[LETTERS, b"k%d" % key] == [n for n in numbers if n >= bad]
