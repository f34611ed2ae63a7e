"""An agent that sleeps past the acknowledgement timeout can never write late, and never hangs the worker."""

import asyncio
from typing import Any

import pytest

from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, count, expected_outputs
from tests.integration.engine.stages import Bench, running

ACK_TIMEOUT_S = 1.0
RECORDS = [(b"k%d" % (n % 3), b"%d" % n) for n in range(300)]


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.handover.ACK_TIMEOUT_S", ACK_TIMEOUT_S)


def assert_all_counted_once(bench: Bench) -> None:
    values = {key: [v for k, v in RECORDS if k == key] for key, _ in RECORDS}
    assert bench.outputs() == {key: expected_outputs(each) for key, each in values.items()}
    assert bench.changelog() == {key: len(each) for key, each in values.items()}
    assert bench.letters() == []


def test_what_an_agent_does_after_its_time_leaves_no_trace(make_bench: MakeBench) -> None:
    bench = make_bench()
    woken: list[bool] = []

    async def agent(batches: Any) -> None:
        async for batch in batches:
            if not woken:
                await asyncio.sleep(ACK_TIMEOUT_S * 2.5)
                woken.append(batch.cycle.dead)
                batch.state("counts").set(b"late", "written")
                batch.send(bench.out, b"sent late", b"late")
                batch.after_commit(lambda _at: woken.append(False))
            batch.each(lambda record, batch=batch: count(batch, record))

    bench.produce(RECORDS)
    with running(app_with(bench.spec, bench.settings, agent)) as stage:
        bench.await_all_committed()
        row = stage.app.reads().get("counts", 0, b"k0")
        assert row is not None
        assert row.value == 100
        assert stage.app.reads().get("counts", 0, b"late") is None
    assert woken == [True]
    assert_all_counted_once(bench)


def test_an_agent_that_never_finishes_stops_the_worker_and_is_named(make_bench: MakeBench) -> None:
    bench = make_bench()

    async def agent(batches: Any) -> None:
        async for batch in batches:
            batch.each(lambda record, batch=batch: count(batch, record))
            await asyncio.sleep(3600)

    bench.produce(RECORDS)
    with running(app_with(bench.spec, bench.settings, agent)) as stage:
        line = stage.await_failure()
    assert "\n" not in line
    assert f"agent of {bench.spec.lead} did not finish {bench.spec.lead}/0@" in line
    assert (bench.outputs(), bench.changelog()) == ({}, {})
    assert bench.committed() == {(bench.spec.lead, 0): 0}


def test_a_batch_that_is_slow_only_because_of_its_size_gets_through(make_bench: MakeBench) -> None:
    bench = make_bench()

    async def agent(batches: Any) -> None:
        async for batch in batches:
            await asyncio.sleep(0.005 * len(batch))
            batch.each(lambda record, batch=batch: count(batch, record))

    bench.produce(RECORDS)
    with running(app_with(bench.spec, bench.settings, agent)) as stage:
        bench.await_all_committed()
        assert stage.failure is None
        assert stage.app.status().counters["aborts"] >= 1
    assert_all_counted_once(bench)
