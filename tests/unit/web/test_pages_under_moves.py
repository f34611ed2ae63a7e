import asyncio
import random
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.partitioner import partition_of
from streams.web.directory import OWNERS_SECONDS
from tests.unit.web.memory import ORDERS, PARTITIONS, Cluster, Worker, get, workers

ROWS = 40
NOBODY: dict[str, list[int]] = {"orders": []}


def move(cluster: Cluster, started: list[Worker], chance: random.Random) -> None:
    """One partition leaves its owner; another one has it at once, or later, while it is being restored."""
    partition = chance.randrange(PARTITIONS)
    owner = chance.choice(started)
    for worker in started:
        worker.stages["orders"].partitions.discard(partition)
        worker.stages["orders"].tenure += 1
    cluster.owners["orders"][partition] = owner.url
    if chance.random() < 0.7:
        owner.stages["orders"].partitions.add(partition)


def finish_restoring(cluster: Cluster, started: list[Worker]) -> None:
    for worker in started:
        worker.stages["orders"].partitions |= {p for p, u in cluster.owners["orders"].items() if u == worker.url}


def come_and_go(cluster: Cluster, chance: random.Random) -> None:
    key = b"PASSING-%d" % chance.randrange(20)
    rows = cluster.rows["orders"][ORDERS.tables[0].name, partition_of(key, PARTITIONS)]
    if key in rows:
        del rows[key]
    else:
        rows[key] = 0


def forget_owners(cluster: Cluster) -> None:
    """As much time goes by as workers remember who owns what."""
    now = cluster.clock() + OWNERS_SECONDS + 1
    cluster.clock = lambda: now


async def scan(cluster: Cluster, started: list[Worker], chance: random.Random, limit: int) -> list[str]:
    """All pages, each from any worker; partitions move between pages, and rows come and go."""
    keys: list[str] = []
    after, refused = "", 0
    while True:
        if not refused:
            move(cluster, started, chance)
            come_and_go(cluster, chance)
        reply = await get(f"{chance.choice(started).url}/api/tables/orders.state?limit={limit}{after}")
        assert reply.status in {200, 503}
        if reply.status == 503:
            refused += 1
            assert refused < 20
            finish_restoring(cluster, started)
            forget_owners(cluster)
            continue
        refused = 0
        keys += [item["key"] for item in reply.json["items"]]
        if reply.json["next"] is None:
            return keys
        after = f"&after={quote(reply.json['next'], safe='')}"


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.sampled_from([2, 5, 20, 1000]))
def test_a_scan_by_pages_has_every_row_that_was_there_throughout_once(seed: int, limit: int) -> None:
    async def scenario() -> None:
        cluster = Cluster()
        for partition in range(PARTITIONS):
            cluster.rows["orders"][ORDERS.tables[0].name, partition] = {}
        for n in range(ROWS):
            cluster.put_by_key(ORDERS, b"ORD-%03d" % n, n)
        async with workers(cluster, {"orders": range(PARTITIONS)}, NOBODY, NOBODY) as started:
            keys = await scan(cluster, started, random.Random(seed), limit)
        assert keys == sorted(set(keys))
        assert [key for key in keys if key.startswith("ORD-")] == [f"ORD-{n:03}" for n in range(ROWS)]

    asyncio.run(asyncio.wait_for(scenario(), 60))
