"""What the broker refuses becomes the dead letter of exactly the record that put it out; a refused letter stops."""

import random
from typing import Any

import pytest
from confluent_kafka import Message

from streams.dev.readiness import await_condition
from streams.engine import clients
from streams.engine.batch import Batch
from streams.engine.topic_reader import read_topics
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, count, counting_app, destinations, expected_outputs
from tests.integration.engine.stages import WAIT_S, Bench, running

LIMIT = 4096
RECORDS = [(b"k%d" % (n % 4), b"%03d" % n) for n in range(200)]
GUILTY = {b"037", b"038", b"150"}
SMALL = {"max.message.bytes": str(LIMIT)}


def noise(size: int) -> bytes:
    """Bytes that do not compress."""
    return random.Random(size).randbytes(size)


def assert_guilty_alone_are_dead(bench: Bench, guilty: set[bytes]) -> None:
    stood: dict[bytes, list[bytes]] = {}
    for key, value in RECORDS:
        if value not in guilty:
            stood.setdefault(key, []).append(value)
    assert bench.outputs() == {key: expected_outputs(values) for key, values in stood.items()}
    letters = bench.letters()
    assert sorted(letter.value or b"" for letter in letters) == sorted(guilty)
    assert {(letter.category, letter.exception) for letter in letters} == {("INVALID_FORMAT", "MessageRefused")}
    for letter in letters:
        assert letter.origin == (bench.spec.lead, 0, int(letter.value or b""))


def test_a_value_over_the_destinations_limit_is_the_letter_of_its_record_alone(make_bench: MakeBench) -> None:
    bench = make_bench(configs={"out": SMALL})

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if record.value() in GUILTY:
            batch.send(bench.out, noise(4 * LIMIT), record.key())

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)) as stage:
        bench.await_all_committed()
        assert stage.app.status().counters["dead_letters"] == len(GUILTY)
    assert_guilty_alone_are_dead(bench, GUILTY)
    assert bench.changelog() == {key: len(values) for key, values in bench.outputs().items()}


def test_a_row_over_the_changelogs_limit_is_the_letter_of_its_record_alone(make_bench: MakeBench) -> None:
    bench = make_bench(configs={"changelog": SMALL})

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if record.value() in GUILTY:
            batch.state("counts").set(b"big", noise(4 * LIMIT).hex())

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    assert_guilty_alone_are_dead(bench, GUILTY)
    assert b"big" not in bench.changelog()


def test_a_destination_deleted_under_way_buries_what_is_sent_there(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = clients.producer_config

    def impatient(*args: Any, **options: Any) -> dict[str, object]:
        return {**configured(*args, **options), "message.timeout.ms": 1_500}

    monkeypatch.setattr("streams.engine.clients.producer_config", impatient)
    bench = make_bench()
    bench.produce(RECORDS[:100])

    def handle(batch: Batch, record: Message) -> None:
        rows = batch.state("counts")
        rows.set(record.key() or b"", rows.get(record.key() or b"", 0) + 1)
        if int(record.value() or b"") % 2:
            batch.send(bench.out, record.value(), record.key())

    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
        bench.admin.delete_topics([bench.out])[bench.out].result(WAIT_S)
        gone = lambda: bench.out not in bench.admin.list_topics(timeout=5).topics  # noqa: E731
        await_condition(gone, WAIT_S, "the topic to be gone")
        bench.produce(RECORDS[100:])
        bench.await_all_committed()
    dead = {value for _, value in RECORDS[100:] if int(value) % 2}
    letters = bench.letters()
    assert {letter.value for letter in letters} == dead
    assert len(letters) == len(dead)
    assert {letter.exception for letter in letters} == {"MessageRefused"}
    stood = [key for key, value in RECORDS if value not in dead]
    assert bench.changelog() == {key: stood.count(key) for key in stood}


def test_a_letter_too_large_for_its_dlq_is_sent_without_what_makes_it_large(make_bench: MakeBench) -> None:
    bench = make_bench(configs={"dlq": {"max.message.bytes": str(4 * LIMIT)}})

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if len(record.value() or b"") > LIMIT:
            raise ValueError("its letter is too large for the dlq")

    bench.produce([*RECORDS[:20], (b"k0", noise(8 * LIMIT)), *RECORDS[20:40]])
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    (letter,) = bench.letters()
    assert letter.value is None
    assert letter.origin == (bench.spec.lead, 0, 20)
    assert f"value of {8 * LIMIT} bytes" in letter.headers["headrace-omitted"]


def test_a_refused_dead_letter_stops_the_worker_with_one_line(make_bench: MakeBench) -> None:
    bench = make_bench(configs={"dlq": {"max.message.bytes": "200"}})

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if len(record.value() or b"") > LIMIT:
            raise ValueError("its letter is too large for the dlq")

    bench.produce([*RECORDS[:20], (b"k0", noise(4 * LIMIT)), *RECORDS[20:40]])
    with running(counting_app(bench.spec, bench.settings, handle)) as stage:
        line = stage.await_failure()
    assert "\n" not in line
    assert f"dead letter of {bench.spec.lead}/0@20" in line
    assert bench.spec.dead_letters in line
    assert "max.message.bytes" in line
    assert read_topics(bench.settings, [bench.out], lambda _: None) == bench.committed()[bench.spec.lead, 0]


def test_a_refusal_outside_any_records_handling_stops_the_worker(make_bench: MakeBench) -> None:
    bench = make_bench(configs={"out": SMALL})

    async def agent(batches: object) -> None:
        async for batch in batches:  # type: ignore[attr-defined]
            batch.send(bench.out, noise(4 * LIMIT))

    bench.produce(RECORDS[:10])
    with running(app_with(bench.spec, bench.settings, agent)) as stage:
        line = stage.await_failure()
    assert "\n" not in line
    assert "MSG_SIZE_TOO_LARGE" in line
    assert bench.outputs() == {}


def test_an_unknown_partition_or_topic_is_refused_before_it_is_produced(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=2)

    def handle(batch: Batch, record: Message) -> None:
        number = int(record.value() or b"")
        topic = "nowhere" if number % 10 == 3 else destinations(batch)[0]
        batch.send(topic, record.value(), record.key(), partition=7 if number % 10 == 4 else -1)

    bench.produce(RECORDS[:50])
    with running(counting_app(bench.spec, bench.settings, handle)) as stage:
        bench.await_all_committed()
        assert stage.app.status().counters["aborts"] == 0
    assert {letter.exception for letter in bench.letters()} == {"MessageRefused"}
    assert len(bench.letters()) == 10


def test_on_the_hot_path_too_only_the_guilty_are_dead(make_bench: MakeBench) -> None:
    """`batch.out.append` checks nothing: librdkafka refuses the partition, or the topic, when it is produced."""
    bench = make_bench()
    lost = {b"037": (bench.out, b"lost", None, 7, 0, None), b"150": ("nowhere.to.be.found", b"lost", None, -1, 0, None)}

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if record.value() in lost:
            batch.out.append(lost[record.value() or b""])

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    assert_guilty_alone_are_dead(bench, set(lost))


@pytest.mark.parametrize(
    ("config", "key", "timestamp_ms"),
    [
        pytest.param({"cleanup.policy": "compact"}, None, 0, id="no key for a compacted topic"),
        pytest.param({"message.timestamp.before.max.ms": "60000"}, b"k", 1_000_000, id="older than the topic takes"),
    ],
)
def test_a_record_that_its_destination_finds_invalid_is_the_letter_of_its_source_alone(
    make_bench: MakeBench, config: dict[str, str], key: bytes | None, timestamp_ms: int
) -> None:
    bench = make_bench(configs={"out": config})

    def handle(batch: Batch, record: Message) -> None:
        count(batch, record)
        if record.value() in GUILTY:
            batch.send(bench.out, b"invalid", key, timestamp_ms=timestamp_ms)

    bench.produce(RECORDS)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    assert_guilty_alone_are_dead(bench, GUILTY)
