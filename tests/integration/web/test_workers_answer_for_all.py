"""Two real workers of one stage on a real broker: each answers for both over HTTP."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,  # noqa: TID251 the world outside
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.hosting import Stages
from streams.engine.stage import StageSpec, TableSpec
from streams.web.mounting import mount

PARTITIONS = 4
RECORDS = 400
KEYS = 40


@pytest.fixture
def spec(make_topic: Callable[..., str], unique_name: Callable[[str], str], settings: Settings) -> StageSpec:
    made = StageSpec(
        unique_name("counting"),
        (make_topic("orders", partitions=PARTITIONS),),
        (TableSpec("seen", "key"), TableSpec("routes", "source")),
    )
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers()})
    topics = [NewTopic(made.changelog(table.name), PARTITIONS, 1) for table in made.tables]
    for future in admin.create_topics([*topics, NewTopic(made.dead_letters, PARTITIONS, 1)]).values():
        future.result(30)
    start = [TopicPartition(made.lead, partition, 0) for partition in range(PARTITIONS)]
    _preset(admin, ConsumerGroupTopicPartitions(made.group, start))
    return made


def _preset(admin: AdminClient, offsets: ConsumerGroupTopicPartitions) -> None:
    for _attempt in range(20):  # the first group's coordinator is still being made
        try:
            admin.alter_consumer_group_offsets([offsets])[offsets.group_id].result(10)
        except KafkaException:
            continue
        return
    raise AssertionError("no coordinator")


def counting(spec: StageSpec, settings: Settings) -> StageApp:
    app = StageApp(spec, settings, web_enabled=True)
    app.Table("seen")
    app.Table("routes")

    @app.agent(app.topic(spec.lead))  # type: ignore[untyped-decorator]
    async def count(batches: Any) -> None:
        async for batch in batches:
            seen, routes = batch.state("seen"), batch.state("routes")

            def handle(record: Any, seen: Any = seen, routes: Any = routes, partition: int = batch.partition) -> None:
                seen.set(record.key(), seen.get(record.key(), 0) + 1)
                row = f"route:{partition}".encode()
                routes.set(row, routes.get(row, 0) + 1)

            batch.each(handle)

    mount(app, [app], settings, known=[spec])
    return app


async def until(condition: Callable[[], Any], what: str) -> None:
    for _attempt in range(300):
        try:
            if await condition():
                return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited 30 s for {what}")


class Asking:
    """GETs of one worker."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.json()

    async def ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200


async def both_answer_for_all(spec: StageSpec, workers: Sequence[Asking]) -> None:
    keys = [f"K-{n:02}" for n in range(KEYS)]
    for worker in workers:
        await until(worker.ready, "readiness")

    async def all_counted() -> bool:
        status, page = await workers[0].get(f"/api/tables/{spec.name}.routes")
        return status == 200 and sum(item["value"] for item in page["items"]) == RECORDS

    await until(all_counted, "all records")
    shares = []
    for worker in workers:
        page = (await worker.get(f"/api/tables/{spec.name}.seen"))[1]
        assert [(item["key"], item["value"]) for item in page["items"]] == [(key, RECORDS // KEYS) for key in keys]
        for key in keys:
            assert (await worker.get(f"/api/tables/{spec.name}.seen/{key}"))[1]["value"] == RECORDS // KEYS
        assert (await worker.get(f"/api/tables/{spec.name}.seen/nothing"))[0] == 404
        (stage,) = (await worker.get("/api/stages"))[1]["items"]
        assert {each["url"] for each in stage["workers"]} == {each.url for each in workers}
        shares.append({p["partition"] for each in stage["workers"] for p in each["partitions"]})
        assert (await worker.get("/stats/"))[0] == 404
    assert shares == [set(range(PARTITIONS))] * 2


def test_two_workers_each_answer_for_all_partitions(
    spec: StageSpec, settings: Settings, settings_for: Callable[..., Settings]
) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers(), "partitioner": "murmur2_random"})
    for n in range(RECORDS):
        producer.produce(spec.lead, b"v", f"K-{n % KEYS:02}".encode())
    producer.flush(30)
    both = [settings, settings_for(settings.bootstrap_servers())]

    async def scenario() -> None:
        stages = Stages([counting(spec, each) for each in both])
        await stages.start()
        try:
            async with aiohttp.ClientSession() as session:
                await both_answer_for_all(spec, [Asking(session, each.advertised_url()) for each in both])
        finally:
            await asyncio.wait_for(stages.stop(), 40)

    asyncio.run(asyncio.wait_for(scenario(), 120))
