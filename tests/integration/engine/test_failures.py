"""A failure costs what the design says and nothing else: poison records, bugs, agents that raise."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import Message

from streams.config import Settings
from streams.engine.batch import Batch
from streams.errors import BusinessRuleViolation, InvalidMessage
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, count, counting_app, expected_outputs
from tests.integration.engine.stages import Bench, running

RECORDS = [(b"k%d" % (n % 3), b"%d" % n) for n in range(60)]
ERRORS = {b"13": InvalidMessage("not an order"), b"14": ValueError("bug"), b"15": BusinessRuleViolation("no")}


def assert_all_but(bench: Bench, missing: set[bytes]) -> None:
    """Every record but these came out once and in order, and the table equals a recount."""
    stood: dict[bytes, list[bytes]] = {}
    for key, value in RECORDS:
        if value not in missing:
            stood.setdefault(key, []).append(value)
    assert bench.outputs() == {key: expected_outputs(values) for key, values in stood.items()}
    assert bench.changelog() == {key: len(values) for key, values in stood.items()}


def test_a_poison_record_costs_one_dead_letter_and_nothing_else(make_bench: MakeBench) -> None:
    bench = make_bench()

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if record.value() in ERRORS:
            raise ERRORS[record.value() or b""]

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    assert_all_but(bench, set(ERRORS))
    letters = bench.letters()
    assert [(letter.key, letter.value, letter.category) for letter in letters] == [
        (b"k1", b"13", "INVALID_FORMAT"), (b"k2", b"14", "UNKNOWN"), (b"k0", b"15", "BUSINESS_RULE"),
    ]  # fmt: skip
    assert [letter.origin for letter in letters] == [(bench.spec.lead, 0, offset) for offset in (13, 14, 15)]
    assert "in handle" in letters[1].headers["__streams.errors.stacktrace"]


def agent_that_raises(times: int, bench: Bench) -> tuple[Any, list[int]]:
    """An agent that does its work and then raises outside any record's handling, so many times."""
    attempts: list[int] = []

    async def agent(batches: Any) -> None:
        async for batch in batches:
            batch.each(lambda record, batch=batch: count(batch, record))
            attempts.append(len(batch))
            if len(attempts) <= times:
                raise ZeroDivisionError("not in any record")

    return app_with(bench.spec, bench.settings, agent), attempts


def test_an_agent_that_recovers_loses_and_doubles_nothing(make_bench: MakeBench) -> None:
    bench = make_bench()
    app, attempts = agent_that_raises(1, bench)
    bench.produce(RECORDS)
    with running(app) as stage:
        bench.await_all_committed()
        assert stage.failure is None
        bench.produce([(b"k0", b"more")])
        bench.await_all_committed()
    assert len(attempts) >= 3
    outputs = bench.outputs()
    assert outputs[b"k0"] == expected_outputs([*(v for k, v in RECORDS if k == b"k0"), b"more"])
    assert bench.letters() == []


def test_an_agent_that_goes_on_raising_stops_the_worker_and_is_named(make_bench: MakeBench) -> None:
    bench = make_bench()
    app, attempts = agent_that_raises(1_000_000, bench)
    bench.produce(RECORDS)
    with running(app) as stage:
        line = stage.await_failure()
    assert "\n" not in line
    assert f"agent of {bench.spec.lead}" in line
    assert f"{bench.spec.lead}/0@0" in line
    assert "ZeroDivisionError('not in any record')" in line
    assert len(attempts) <= 10
    assert (bench.outputs(), bench.changelog(), bench.letters()) == ({}, {}, [])
    assert bench.committed() == {(bench.spec.lead, 0): 0}
    with running(counting_app(bench.spec, bench.settings)):
        bench.await_all_committed()
    assert_all_but(bench, set())


def test_an_agent_that_returns_stops_the_worker_and_is_named(make_bench: MakeBench) -> None:
    bench = make_bench()

    async def agent(batches: Any) -> None:
        async for _batch in batches:
            return

    bench.produce(RECORDS)
    with running(app_with(bench.spec, bench.settings, agent)) as stage:
        line = stage.await_failure()
    assert "loop over its stream" in line
    assert f"{bench.spec.lead}/0@0" in line
    assert bench.outputs() == {}


def test_both_kinds_of_store_count_alike(make_bench: MakeBench, other_settings: Callable[..., Settings]) -> None:
    benches = [make_bench(of=other_settings(HEADRACE_STORE=kind), partitions=3) for kind in ("rocksdb", "memory")]
    for _ in range(2):
        with running(*(counting_app(bench.spec, bench.settings) for bench in benches)):
            for bench in benches:
                bench.produce(RECORDS)
            for bench in benches:
                bench.await_all_committed()
    values = {key: [v for k, v in RECORDS if k == key] * 2 for key, _ in RECORDS}
    for bench in benches:
        assert bench.outputs() == {key: expected_outputs(each) for key, each in values.items()}
