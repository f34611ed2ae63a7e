"""Order is kept: within a key and a partition outputs leave as their records came, however many batches they fill."""

from typing import Any

import pytest
from confluent_kafka import Message

from streams.engine import clients
from streams.engine.batch import Batch
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import count, counting_app, expected_outputs
from tests.integration.engine.stages import running

# Several batches of a partition in one cycle, none of them a multiple of the chunks that outputs are produced in.
RECORDS = [(b"k%d" % (n % 3), b"%d" % n) for n in range(1_777)]


@pytest.mark.parametrize("poll_records", [500, 2_000], ids=["a batch a cycle", "several batches a cycle"])
def test_outputs_of_many_batches_leave_in_the_order_of_their_records(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, poll_records: int
) -> None:
    monkeypatch.setattr("streams.engine.verdicts.POLL_RECORDS", poll_records)
    bench = make_bench()
    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings)):
        bench.await_all_committed()
    values = {key: [v for k, v in RECORDS if k == key] for key, _ in RECORDS}
    assert bench.outputs() == {key: expected_outputs(each) for key, each in values.items()}


def test_a_full_queue_of_the_producer_changes_no_order(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = clients.producer_config

    def small_queue(*args: Any, **options: Any) -> dict[str, object]:
        return {**configured(*args, **options), "queue.buffering.max.messages": 100, "batch.num.messages": 50}

    monkeypatch.setattr("streams.engine.clients.producer_config", small_queue)
    monkeypatch.setattr("streams.engine.verdicts.POLL_RECORDS", 2_000)
    bench = make_bench()
    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings)) as stage:
        bench.await_all_committed()
        assert stage.app.status().counters["aborts"] == 0
    values = {key: [v for k, v in RECORDS if k == key] for key, _ in RECORDS}
    assert bench.outputs() == {key: expected_outputs(each) for key, each in values.items()}
    assert bench.changelog() == {key: len(each) for key, each in values.items()}


def test_a_failing_record_among_many_outputs_takes_only_its_own_back(make_bench: MakeBench) -> None:
    bench = make_bench()
    poison = {b"63", b"64", b"65", b"499", b"500", b"1000", b"1776"}

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        batch.send(bench.out, b"again", b"again")
        if record.value() in poison:
            raise ValueError("bug")

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    outputs = bench.outputs()
    assert outputs.pop(b"again") == [b"again"] * (len(RECORDS) - len(poison))
    values = {key: [v for k, v in RECORDS if k == key and v not in poison] for key, _ in RECORDS}
    assert outputs == {key: expected_outputs(each) for key, each in values.items()}
    assert {letter.value for letter in bench.letters()} == poison
