"""Parking keeps the order of each key through failures, retries, letters, redrives, discards, aborts and restarts."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.parked_record import ParkedRecord, decoded, encoded
from streams.engine.parked_rows import HEAD
from streams.engine.parking import Parking, Place, Spent
from streams.engine.retrying import Circuit, CircuitState, RetryPolicy
from streams.errors import Category

POLICY = RetryPolicy(retries=1, initial_s=1, max_s=1, jitter=0)


class Table(dict[bytes, bytes]):
    """Rows in memory."""

    def get_raw(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_raw(self, key: bytes, raw: bytes) -> None:
        self[key] = raw

    def delete(self, key: bytes) -> None:
        self.pop(key, None)

    def heads(self) -> list[tuple[bytes, bytes]]:
        return sorted((key, raw) for key, raw in self.items() if key.startswith(HEAD))


def record(key: bytes | None, offset: int, topic: str = "t") -> ParkedRecord:
    return ParkedRecord(b"", 0, topic, 0, offset, 1000 + offset, key, b"v%d" % offset, [("ce_id", b"%d" % offset)])


@dataclass
class Stage:
    """Drives parking as the engine does: live records, due ones, letters, cycles that commit or are given up."""

    fails: dict[int, list[Category]]
    policy: RetryPolicy = POLICY
    now_ms: int = 1_000_000
    handled: list[tuple[bytes | None, int]] = field(default_factory=list)
    letters: dict[int, tuple[ParkedRecord, Category]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = Table()
        self.parking = Parking(self.policy)

    def live(self, new: ParkedRecord) -> None:
        queue = self.parking.queue_of(new)
        if queue not in self.parking.heads:
            self._handle(new)
        elif self.parking.join(self.table, queue, new, new.headers()) is Place.HELD:
            self.letters[new.offset()] = (new, Category.HELD)

    def tick(self, ms: int) -> None:
        self.now_ms += ms
        for buried in self.parking.bury(self.table, 2):
            self.letters[buried.offset()] = (buried, Category.HELD)
        for due in self.parking.take_due(self.table, self.now_ms, 3):
            if self.parking.is_first(due) and self._handle(due):
                self.parking.settled(self.table, due, self.now_ms)

    def _handle(self, one: ParkedRecord) -> bool:
        to_come = self.fails.get(one.offset(), [])
        if not to_come:
            self.handled.append((one.key(), one.offset()))
            return True
        failure = to_come.pop(0)
        failing = one if one.queue else Live(one)
        became = self.parking.failed(self.table, failing, one.headers(), failure, self.now_ms, chance=0.5)
        if isinstance(became, Spent):
            self.letters[one.offset()] = (one, failure)
        return False

    def redrive(self, offset: int) -> None:
        letter, category = self.letters.pop(offset)
        holding = self.policy.holds(category)
        assert self.parking.redrive(self.table, Live(letter), letter.headers(), self.now_ms, holding=holding)

    def discard(self, offset: int) -> None:
        letter, _ = self.letters.pop(offset)
        self.parking.discard(self.table, Live(letter), self.now_ms)

    def parked(self) -> set[int]:
        rows = [raw for key, raw in self.table.items() if key.startswith(b"row:") and raw]
        return {decoded(raw, b"", 0).offset() for raw in rows}


class Live:
    """A record as a consumer gives it: no ParkedRecord."""

    def __init__(self, of: ParkedRecord) -> None:
        self.topic, self.partition, self.offset = of.topic, of.partition, of.offset
        self.timestamp, self.key, self.value, self.headers = of.timestamp, of.key, of.value, of.headers


FAILURES = st.lists(
    st.sampled_from([Category.TRANSIENT, Category.UNKNOWN, Category.BUSINESS_RULE, Category.INVALID_FORMAT]), max_size=4
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.sampled_from([b"a", b"b", b"c"]), FAILURES),
        st.tuples(st.just("tick"), st.sampled_from([0, 500, 1000, 5000])),
        st.tuples(st.just("redrive"), st.integers(0, 50)),
        st.tuples(st.just("discard"), st.integers(0, 50)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("abort"), st.sampled_from([b"a", b"b"])),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_record_is_lost_and_none_of_a_key_overtakes_another(steps: list[tuple[Any, ...]]) -> None:
    run = Run()
    for step, *arguments in steps:
        getattr(run, step)(*arguments)
        run.check()
    run.mend()
    assert {offset for _, offset in run.stage.handled} | run.discarded == set(run.sent)
    assert not run.stage.table
    assert run.stage.parking.size == 0


class Run:
    """Steps of the property above, and what must hold after each."""

    def __init__(self) -> None:
        self.stage = Stage({})
        self.sent: dict[int, bytes] = {}
        self.discarded: set[int] = set()
        self.free: set[int] = set()  # letters that hold nothing may come back at any time

    def live(self, key: bytes, failures: list[Category]) -> None:
        offset = len(self.sent)
        self.sent[offset] = key
        self.stage.fails[offset] = list(failures)
        if Category.INVALID_FORMAT in failures:
            self.free.add(offset)
        self.stage.live(record(key, offset))

    def tick(self, ms: int) -> None:
        self.stage.tick(ms)

    def redrive(self, which: int) -> None:
        if letters := sorted(self.stage.letters):
            self.stage.redrive(letters[which % len(letters)])

    def discard(self, which: int) -> None:
        if letters := sorted(self.stage.letters):
            self.discarded.add(letters[which % len(letters)])
            self.stage.discard(letters[which % len(letters)])

    def restart(self) -> None:
        self.stage.parking = Parking(self.stage.policy)
        self.stage.parking.load(self.stage.table.heads())

    def abort(self, key: bytes) -> None:
        _give_up_a_cycle(self.stage, key)

    def mend(self) -> None:
        """The cause is mended: all letters come back, in any order, and all is handled."""
        self.stage.fails.clear()
        for offset in random.Random(1).sample(sorted(self.stage.letters), len(self.stage.letters)):
            self.stage.redrive(offset)
        for _ in range(100):
            self.stage.tick(60_000)
        if self.stage.letters:
            self.mend()
        self.check()

    def check(self) -> None:
        handled = [offset for _, offset in self.stage.handled]
        parked = self.stage.parked()
        assert len(handled) == len(set(handled))
        assert sorted([*handled, *parked, *self.stage.letters, *self.discarded]) == sorted(self.sent)
        for key in set(self.sent.values()):
            of_key = [offset for its, offset in self.stage.handled if its == key and offset not in self.free]
            assert of_key == sorted(of_key)


def _give_up_a_cycle(stage: Stage, key: bytes) -> None:
    """A new record and a tick whose cycle is aborted: nothing of it stays."""
    before = Table(stage.table)
    fails, handled, letters = ({o: list(f) for o, f in stage.fails.items()}, list(stage.handled), dict(stage.letters))
    stage.parking.committed()
    offset = 10_000
    stage.fails[offset] = [Category.UNKNOWN, Category.UNKNOWN]
    stage.live(record(key, offset))
    stage.tick(5000)
    stage.table, stage.fails, stage.handled, stage.letters = before, fails, handled, letters
    stage.parking.rolled_back(before)
    again = Parking(stage.policy)
    again.load(before.heads())
    assert again.heads == stage.parking.heads
    assert again.size == stage.parking.size


def test_a_failed_record_waits_and_its_key_waits_behind_it() -> None:
    stage = Stage({0: [Category.TRANSIENT]})
    stage.live(record(b"a", 0))
    stage.live(record(b"a", 1))
    stage.live(record(b"b", 2))
    assert stage.handled == [(b"b", 2)]
    assert stage.parking.next_due_ms() == 1_001_000
    stage.tick(999)
    assert stage.handled == [(b"b", 2)]
    stage.tick(1)
    assert stage.handled == [(b"b", 2), (b"a", 0), (b"a", 1)]
    assert not stage.table


def test_spent_retries_make_a_letter_that_holds_its_key_until_it_is_redriven() -> None:
    stage = Stage({0: [Category.UNKNOWN, Category.UNKNOWN]})
    for offset in range(3):
        stage.live(record(b"a", offset))
    stage.tick(1000)
    stage.tick(0)
    stage.live(record(b"a", 3))
    assert {offset: category for offset, (_, category) in stage.letters.items()} == {
        0: Category.UNKNOWN, 1: Category.HELD, 2: Category.HELD, 3: Category.HELD
    }  # fmt: skip
    stage.redrive(0)
    stage.live(record(b"a", 4))
    assert 4 in stage.parked(), "after the first redrive new records wait"
    stage.tick(0)
    assert stage.handled == [(b"a", 0)]
    stage.redrive(2)
    stage.discard(1)
    stage.redrive(3)
    stage.tick(0)
    stage.tick(0)
    assert stage.handled == [(b"a", offset) for offset in (0, 2, 3, 4)]
    assert not stage.table


def test_a_letter_that_is_redriven_twice_is_handled_once() -> None:
    stage = Stage({0: [Category.BUSINESS_RULE]})
    stage.live(record(b"a", 0))
    letter = Live(stage.letters[0][0])
    stage.redrive(0)
    assert not stage.parking.redrive(stage.table, letter, [], stage.now_ms, holding=True)
    stage.tick(0)
    assert not stage.parking.redrive(stage.table, letter, [], stage.now_ms, holding=True)
    assert stage.handled == [(b"a", 0)]


def test_without_order_only_the_failed_record_waits() -> None:
    stage = Stage({0: [Category.UNKNOWN, Category.UNKNOWN]}, RetryPolicy(retries=1, jitter=0, order="none"))
    stage.live(record(b"a", 0))
    stage.live(record(b"a", 1))
    stage.tick(60_000)
    stage.live(record(b"a", 2))
    assert stage.handled == [(b"a", 1), (b"a", 2)]
    assert stage.letters[0][1] is Category.UNKNOWN
    assert not stage.table


def test_events_of_an_aggregate_wait_for_each_other() -> None:
    parking = Parking(POLICY)
    one = record(b"ORD-1/00000000000000000001", 0, "orders.events")
    other = record(b"ORD-1/00000000000000000002", 1, "orders.events")
    assert parking.queue_of(one) == parking.queue_of(other) == b"=ORD-1"


@pytest.mark.parametrize("bound", [RetryPolicy(most_of_a_key=2), RetryPolicy(most_bytes=90)])
def test_a_full_queue_makes_the_partition_stand_still(bound: RetryPolicy) -> None:
    stage = Stage({0: [Category.TRANSIENT]}, bound)
    for offset in range(2):
        stage.live(record(b"a", offset))
    new = record(b"a", 2)
    assert stage.parking.join(stage.table, b"=a", new, new.headers()) is Place.FULL


@given(
    st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=20),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=4),
)  # fmt: skip
def test_a_parked_record_comes_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    one = ParkedRecord(b"=q", 7, "orders.inbound", 3, 2**40, 17, key, value, headers)
    back = decoded(encoded(one, headers), b"=q", 7)
    assert (back.topic(), back.partition(), back.offset(), back.timestamp()) == ("orders.inbound", 3, 2**40, (1, 17))
    assert (back.key(), back.value(), back.headers()) == (key, value, headers)


def test_backoff_doubles_to_its_longest_and_varies_by_its_jitter() -> None:
    policy = RetryPolicy(initial_s=1, factor=2, max_s=10, jitter=0.2)
    assert [policy.backoff_s(n, 0.5) for n in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]
    assert policy.backoff_s(1, 0) == pytest.approx(0.8)
    assert policy.backoff_s(1, 1) == pytest.approx(1.2)


def test_failures_of_many_keys_in_a_short_time_are_an_outage() -> None:
    circuit = Circuit(RetryPolicy(jitter=0, outage_failures=3, outage_within_s=10), lambda: 0.5)
    assert not any(circuit.failed(b"a", now) for now in (0, 1, 2, 3)), "one key alone is a poison record"
    assert not circuit.failed(b"b", 4)
    assert not circuit.failed(b"c", 20), "the others were too long ago"
    circuit.failed(b"d", 21)
    assert circuit.failed(b"e", 22)
    assert not circuit.try_again(22.9)
    assert circuit.try_again(23)
    assert circuit.failed(b"e", 23), "the probe failed: open again, for longer"
    assert circuit.until == 25
    assert circuit.try_again(25)
    circuit.succeeded()
    assert circuit.state is CircuitState.CLOSED
    assert not circuit.failed(b"a", 26)
