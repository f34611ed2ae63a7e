"""each_async: several keys at once, each record apart from the others, a key's records one after the other."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.batch import Batch
from streams.engine.concurrency import RecordScope
from streams.engine.cycle import Cycle
from streams.engine.deferral import Deferral
from streams.engine.parking import Parking
from streams.engine.retrying import Circuit, RetryPolicy
from streams.engine.stage import PARKED, TableSpec
from streams.engine.state import TablePartition, WriteSet
from streams.engine.stores import MemoryStore
from streams.errors import TransientError
from tests.unit.engine.records import LETTERS, OUT, TABLE, batch_of, record

POLICY = RetryPolicy(retries=3, initial_s=5, jitter=0, outage_failures=2)


def keyed(keys: list[int]) -> list[Message]:
    return [record(offset, b"v%d" % offset, key=b"k%d" % key) for offset, key in enumerate(keys)]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def pass_on(each: Message, scope: RecordScope) -> None:
    rows = scope.state(TABLE)
    key = each.key() or b""
    before = rows.get(key, [])
    await asyncio.sleep(random.Random(each.offset()).random() / 500)
    rows.set(key, [*before, each.offset()])
    scope.send(OUT, each.value(), key)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 8))
def test_each_key_keeps_its_order_and_its_rows_whatever_runs_beside_it(keys: list[int], concurrency: int) -> None:
    batch = batch_of(keyed(keys))
    run(batch.each_async(pass_on, concurrency=concurrency))
    of_key: dict[bytes | None, list[bytes | None]] = defaultdict(list)
    for _, value, key, *_ in batch.out:
        of_key[key].append(value)
    for number in set(keys):
        offsets = [offset for offset, its in enumerate(keys) if its == number]
        assert of_key[b"k%d" % number] == [b"v%d" % offset for offset in offsets]
        assert batch.state(TABLE).get(b"k%d" % number) == offsets


def test_up_to_so_many_run_at_once() -> None:
    running, most = 0, 0

    async def handle(_each: Message, _scope: RecordScope) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    run(batch_of(keyed(list(range(20)))).each_async(handle, concurrency=4))
    assert most == 4


def test_what_fails_leaves_nothing_and_becomes_a_letter() -> None:
    async def handle(each: Message, scope: RecordScope) -> None:
        await pass_on(each, scope)
        if each.offset() == 1:
            raise ValueError("a bug")

    batch = batch_of(keyed([0, 1, 2]))
    run(batch.each_async(handle, concurrency=3))
    assert sorted((topic, value) for topic, value, *_ in batch.out) == sorted(
        [(OUT, b"v0"), (OUT, b"v2"), (LETTERS, b"v1")]
    )
    assert batch.state(TABLE).get(b"k1") is None
    assert batch.next_offset == 3


def test_when_time_is_up_no_further_record_is_begun() -> None:
    begun = []

    async def handle(each: Message, _scope: RecordScope) -> None:
        begun.append(each.offset())
        await asyncio.sleep(0.03)

    batch = batch_of(keyed(list(range(100))))
    run(batch.each_async(handle, concurrency=2, within_s=0.1))
    assert 2 <= len(begun) < 100
    assert batch.next_offset == len(begun)
    assert batch.handled == len(begun)
    (halt,) = batch.cycle.halted.values()
    assert halt.offset == len(begun)


def deferring(batch: Batch, circuit: Circuit | None = None) -> tuple[Batch, Parking]:
    parking = Parking(POLICY)
    table = TablePartition(TableSpec(PARKED, "source", "bytes"), batch.partition, "changelog", MemoryStore())
    batch._deferral = Deferral(parking, circuit or Circuit(POLICY, lambda: 0.5), WriteSet(table))
    return batch, parking


def test_an_outage_parks_what_runs_and_begins_nothing_more() -> None:
    async def handle(each: Message, scope: RecordScope) -> None:
        await pass_on(each, scope)
        if each.offset() != 2:
            raise TransientError("the other side is down")

    batch, parking = deferring(batch_of(keyed(list(range(50)))))
    run(batch.each_async(handle, concurrency=4))
    begun = batch.next_offset
    assert begun is not None
    assert 2 <= begun < 50
    assert [value for _, value, *_ in batch.out] == ([b"v2"] if begun > 2 else [])
    assert set(parking.heads) == {b"=k%d" % n for n in range(begun) if n != 2}


def after_an_outage() -> Circuit:
    """A circuit that opened long ago."""
    circuit = Circuit(POLICY, lambda: 0.5)
    assert circuit.failed(b"a", -1e9) or circuit.failed(b"b", -1e9)
    return circuit


def test_what_was_begun_before_an_outage_was_seen_makes_the_wait_no_longer() -> None:
    circuit = after_an_outage()
    until = circuit.until
    assert circuit.failed(b"c", until - 1)
    assert circuit.failed(b"d", until + 1)
    assert circuit.until == until


@pytest.mark.parametrize("is_over", [True, False])
def test_one_record_finds_out_whether_an_outage_is_over(*, is_over: bool) -> None:
    begun: list[int | None] = []
    at_once: list[int] = []
    running = 0

    async def handle(each: Message, _scope: RecordScope) -> None:
        nonlocal running
        begun.append(each.offset())
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.002)
        running -= 1
        if not is_over:
            raise TransientError("the other side is down")

    batch, _ = deferring(batch_of(keyed(list(range(8)))), after_an_outage())
    run(batch.each_async(handle, concurrency=4))
    if is_over:
        assert begun == list(range(8))
        assert at_once[:2] == [1, 1], "the others only once it had succeeded"
        assert max(at_once) == 4
    else:
        assert begun == [0]


def test_records_behind_one_that_failed_are_parked() -> None:
    async def handle(each: Message, scope: RecordScope) -> None:
        await pass_on(each, scope)
        if each.offset() == 0:
            raise ValueError("a bug")

    batch, parking = deferring(batch_of(keyed([0, 1, 0, 1, 0])))
    run(batch.each_async(handle, concurrency=4))
    assert sorted(value or b"" for _, value, *_ in batch.out) == [b"v1", b"v3"]
    assert parking.heads[b"=k0"].records == 3
    assert batch.next_offset == 5


def test_batches_of_one_hand_over_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("streams.engine.cycle.time.monotonic", lambda: now)
    cycle = Cycle({})
    first, second, third, _ = (batch_of([record(n)], cycle) for n in range(4))
    now = 200.0  # the cycle is older than the hand-over
    cycle.expect(4)
    assert cycle.share_until(4.0) == 201.0
    cycle.acknowledge(first)
    assert cycle.share_until(4.0) == 200.0 + 4 / 3, "the first took no time"
    now = 203.0
    cycle.acknowledge(second)
    assert cycle.share_until(4.0) == 203.5
    now = 206.0
    cycle.acknowledge(third)
    assert cycle.share_until(4.0) == 206.0, "one took more than its share: the last comes in the next cycle"


def test_nothing_is_begun_for_a_cycle_that_was_given_up() -> None:
    batch = batch_of(keyed([0, 0, 1]))
    begun = []

    async def handle(each: Message, scope: RecordScope) -> None:
        begun.append(each.offset())
        scope.send(OUT, b"late")
        batch.cycle.die()

    run(batch.each_async(handle))
    assert begun == [0]
    assert not batch.out
