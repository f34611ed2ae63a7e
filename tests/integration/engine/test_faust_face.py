"""What Faust's users know, on the engine: `topic.send()` and `table[key]` in an agent, refused everywhere else."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.engine.app import StageApp
from streams.engine.stage import StageSpec, TableSpec
from streams.errors import ConfigurationRefused
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, counting_app
from tests.integration.engine.stages import by_key, running

RECORDS = [(b"k%d" % (n % 2), b"%d" % n) for n in range(20)]


def test_topic_send_in_an_agent_is_part_of_its_transaction(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=2)
    attempts: list[int] = []

    async def agent(batches: Any) -> None:
        async for batch in batches:
            out = batch_app[0].topic(bench.out)
            for record in batch.records:
                await out.send(
                    key=record.key(), value=record.value(), partition=batch.partition, headers={"n": record.value()}
                )
            attempts.append(len(batch))
            if len(attempts) == 1:
                raise ValueError("what was sent so far must not be seen")

    batch_app = [app_with(bench.spec, bench.settings, agent)]
    bench.produce(RECORDS)
    with running(batch_app[0]):
        bench.await_all_committed()
    sent = bench.read(bench.out)
    assert by_key(sent) == {key: [v for k, v in RECORDS if k == key] for key, _ in RECORDS}
    assert all(message.headers() == [("n", message.value())] for message in sent)
    source = {message.key(): message.partition() for message in bench.read(bench.spec.lead)}
    assert {message.key(): message.partition() for message in sent} == source
    assert len(attempts) > 1


def test_topic_send_to_no_destination_stops_and_names_it(make_bench: MakeBench) -> None:
    bench = make_bench()

    async def agent(batches: Any) -> None:
        async for _batch in batches:
            await app.topic("elsewhere").send(value=b"x")

    app = app_with(bench.spec, bench.settings, agent)
    bench.produce(RECORDS)
    with running(app) as stage:
        assert "elsewhere" in stage.await_failure()


def test_topic_send_outside_an_agent_is_refused(make_bench: MakeBench) -> None:
    bench = make_bench()
    app = counting_app(bench.spec, bench.settings)
    with running(app) as stage:
        stage.await_state("running")
        for send in (app.topic(bench.out).send(value=b"x"), app.send(bench.out, value=b"x")):
            with pytest.raises(ConfigurationRefused, match="outside an agent"):
                stage.call(send)
    assert bench.outputs() == {}


def test_a_table_reads_like_a_dict_in_an_agent_and_is_restored(make_bench: MakeBench) -> None:
    bench = make_bench()

    def make() -> StageApp:
        async def agent(batches: Any) -> None:
            async for batch in batches:
                for record in batch.records:
                    key = record.key().decode()
                    counts.setdefault(key, 0)
                    counts.update({key: counts[key] + 1})
                    if key in counts and counts[key] == 10:
                        assert counts.pop(key) == 10

        app = app_with(bench.spec, bench.settings, agent)
        counts = app.Table("counts")
        return app

    bench.produce(RECORDS)
    with running(make()):
        bench.await_all_committed()
    assert bench.changelog() == {}
    bench.produce(RECORDS[:7])
    with running(make()):
        bench.await_all_committed()
    assert bench.changelog() == {b"k0": 4, b"k1": 3}


def test_a_table_default_is_fausts(make_bench: MakeBench) -> None:
    bench = make_bench()

    async def agent(batches: Any) -> None:
        async for batch in batches:
            for record in batch.records:
                counts[record.key()] += 1

    app = app_with(bench.spec, bench.settings, agent)
    counts = app.Table("counts", default=int)
    bench.produce(RECORDS)
    with running(app):
        bench.await_all_committed()
    assert bench.changelog() == {b"k0": 10, b"k1": 10}


REFUSED: list[Callable[[Any], Any]] = [
    lambda table: table["k"],
    lambda table: table.__setitem__("k", 1),
    lambda table: table.__delitem__("k"),
    lambda table: table.get("k"),
    lambda table: "k" in table,
    lambda table: table.pop("k"),
    lambda table: table.setdefault("k", 1),
    lambda table: table.update(k=1),
    lambda table: table.clear(),
    lambda table: table.tumbling(10),
    lambda table: table.hopping(10, 5),
    lambda table: table.using_window(None),
    list,
    len,
    lambda table: table.items(),
    lambda table: table.keys(),
    lambda table: table.values(),
    lambda table: table.popitem(),
    lambda table: table.as_ansitable(),
]


@pytest.mark.parametrize("use", REFUSED, ids=range(len(REFUSED)))
def test_a_table_outside_an_agent_and_what_it_cannot_do_is_refused(
    use: Callable[[Any], Any], settings: Any, unique_name: Callable[[str], str]
) -> None:
    app = StageApp(StageSpec(unique_name("face"), ("orders",), (TableSpec("counts"),)), settings)
    table = app.Table("counts")
    with pytest.raises(ConfigurationRefused):
        use(table)
