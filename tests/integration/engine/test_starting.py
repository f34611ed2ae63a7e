"""A stage that cannot start right does not start, and says in one line what to do."""

from collections.abc import Callable

import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.batch import Batch
from streams.engine.raw_producer import RawProducer
from streams.engine.stage import StageSpec, TableSpec
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, count, counting_app, destinations
from tests.integration.engine.stages import WAIT_S, Bench, make_topics, preset_offsets, running


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.arrival._REFUSALS_S", 0.3)
    monkeypatch.setattr("streams.engine.ownership._MISSING_S", 0.3)


def pass_on(batch: Batch, record: Message) -> None:
    batch.send(destinations(batch)[0], record.value(), record.key())


def failure_of(bench: Bench, spec: StageSpec | None = None) -> str:
    with running(counting_app(spec or bench.spec, bench.settings)) as stage:
        line = stage.await_failure()
        assert stage.app.status().state == "failed"
    assert "\n" not in line
    return line


# With tables or followers the engine asks for offsets itself; without, librdkafka finds out.
KINDS = [
    pytest.param(("counts",), 0, id="tables"),
    pytest.param((), 0, id="stateless"),
    pytest.param((), 1, id="a follower"),
]


@pytest.mark.parametrize(("tables", "followers"), KINDS)
def test_a_group_without_offsets_says_how_to_preset_them(
    make_bench: MakeBench, tables: tuple[str, ...], followers: int
) -> None:
    bench = make_bench(tables=tables, followers=followers, preset=False)
    bench.produce([(b"k", b"v")])
    line = failure_of(bench)
    assert bench.spec.group in line
    assert "headrace topology apply" in line


@pytest.mark.parametrize(("tables", "followers"), KINDS)
def test_a_coordinator_that_does_not_know_the_offset_yet_is_asked_again(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tables: tuple[str, ...], followers: int
) -> None:
    monkeypatch.setattr("streams.engine.ownership._MISSING_S", WAIT_S)
    bench = make_bench(tables=tables, followers=followers, preset=False)
    bench.produce([(b"k", b"before"), (b"k", b"after")])
    with running(counting_app(bench.spec, bench.settings, pass_on)) as stage:
        await_condition(lambda: "opening" in [p.state for p in stage.app.status().partitions], WAIT_S, "the opening")
        engine = stage.app.engine
        assert engine is not None
        member = engine._sources._lead  # Kafka takes offsets of an active group from its members only
        starts = [TopicPartition(source, 0, int(source == bench.spec.lead)) for source in bench.spec.sources]
        member.commit(offsets=starts, asynchronous=False)
        await_condition(lambda: bench.outputs() == {b"k": [b"after"]}, WAIT_S, "what follows the offset")


def test_a_follower_without_an_offset_is_named(make_bench: MakeBench) -> None:
    bench = make_bench(followers=1, preset=False)
    preset_offsets(bench.admin, bench.spec.group, [TopicPartition(bench.spec.lead, 0, 0)])
    line = failure_of(bench)
    assert f"{bench.spec.followers[0]}/0" in line
    assert "headrace topology apply" in line


@pytest.mark.parametrize(
    ("tables", "role", "offset"),
    [
        pytest.param(("counts",), "lead", 100, id="tables, past the end"),
        pytest.param((), "lead", 2, id="stateless, before the start"),
        pytest.param(("counts",), "follower", 2, id="follower, before the start"),
        pytest.param((), "follower", 100, id="follower, past the end"),
    ],
)
def test_an_offset_out_of_range_says_how_to_go_on(
    make_bench: MakeBench, tables: tuple[str, ...], role: str, offset: int
) -> None:
    bench = make_bench(tables=tables, followers=1 if role == "follower" else 0, preset=False)
    topic = bench.spec.lead if role == "lead" else bench.spec.followers[0]
    bench.produce([(b"k", b"%d" % n) for n in range(10)], topic)
    for future in bench.admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        future.result(WAIT_S)
    starts = dict.fromkeys(bench.spec.sources, 0) | {topic: offset}
    preset_offsets(bench.admin, bench.spec.group, [TopicPartition(name, 0, at) for name, at in starts.items()])
    line = failure_of(bench)
    assert f"{topic}/0" in line
    assert bench.spec.group in line
    assert "headrace replay" in line
    assert bench.committed()[topic, 0] == offset


def test_all_missing_topics_are_named_at_once(settings: Settings, unique_name: Callable[[str], str]) -> None:
    spec = StageSpec(unique_name("missing"), ("no.source",), (TableSpec("t"),), frozenset({"no.destination"}))

    async def agent(batches: object) -> None:
        async for _batch in batches:  # type: ignore[attr-defined]
            pass

    with running(app_with(spec, settings, agent)) as stage:
        line = stage.await_failure()
    assert all(topic in line for topic in ("no.source", "no.destination", spec.changelog("t"), spec.dead_letters))
    assert "headrace topology apply" in line
    assert "\n" not in line


def test_a_topic_that_comes_in_time_is_waited_for(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.arrival._REFUSALS_S", WAIT_S)
    bench = make_bench()
    bench.admin.delete_topics([bench.out])[bench.out].result(WAIT_S)
    with running(counting_app(bench.spec, bench.settings)) as stage:
        stage.await_state("waiting")
        make_topics(bench.admin, [NewTopic(bench.out, 1, 1)])
        stage.await_state("running")


def grow(bench: Bench, topic: str) -> None:
    """Three partitions, as the broker's metadata has them a moment after it has agreed."""
    bench.admin.create_partitions([NewPartitions(topic, 3)])[topic].result(WAIT_S)
    await_condition(lambda: len(bench.admin.list_topics(topic).topics[topic].partitions) == 3, WAIT_S, "partitions")


@pytest.mark.parametrize("role", ["follower", "changelog"])
def test_another_partition_count_than_the_leads_is_refused(make_bench: MakeBench, role: str) -> None:
    bench = make_bench(followers=1, partitions=2)
    topic = bench.spec.followers[0] if role == "follower" else bench.spec.changelog("counts")
    grow(bench, topic)
    line = failure_of(bench)
    assert f"{topic} has 3 partitions" in line
    assert "2" in line


def test_a_destination_may_have_any_partition_count(make_bench: MakeBench) -> None:
    bench = make_bench()
    grow(bench, bench.out)
    bench.produce([(b"k%d" % n, b"v") for n in range(20)])
    with running(counting_app(bench.spec, bench.settings)):
        bench.await_all_committed()
    assert len({message.partition() for message in bench.read(bench.out)}) > 1


def test_an_agent_too_few_and_one_too_many_are_refused(make_bench: MakeBench) -> None:
    bench = make_bench(followers=1)
    few = counting_app(StageSpec(bench.spec.name, bench.spec.sources[:1]), bench.settings)
    few.spec = bench.spec
    with running(few) as stage:
        assert f"one agent on {bench.spec.followers[0]}" in stage.await_failure()
    many = counting_app(bench.spec, bench.settings)
    many.agent(many.topic("stranger"), name="one too many")(_ignore)
    with running(many) as stage:
        assert "stranger" in stage.await_failure()


async def _ignore(batches: object) -> None:
    async for _batch in batches:  # type: ignore[attr-defined]
        pass


def test_keys_of_any_kind_are_counted(make_bench: MakeBench, settings: Settings) -> None:
    """Null keys, empty keys and values, tombstones and header names that are no UTF-8 come through."""
    bench = make_bench()
    with RawProducer(settings) as producer:
        for key, value in ((None, b"a"), (b"", b""), (b"k", None), (b"\xff", b"\xff")):
            producer.send(bench.spec.lead, value, key, timestamp_ms=0, headers=[("h", b"\xff")])
    with running(counting_app(bench.spec, bench.settings, count)):
        bench.await_all_committed()
    assert bench.changelog() == {b"": 2, b"k": 1, b"\xff": 1}
