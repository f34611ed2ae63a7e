import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.partitioner import partition_of
from streams.engine.stage import TP
from streams.web.hop import WAIT_SECONDS
from streams.web.positions import positions_of, text_of_positions
from tests.unit.web.memory import NEXT, ORDERS, PARTITIONS, Cluster, Worker, get, workers

KEY = "ORD-1"
OWN = partition_of(KEY.encode(), PARTITIONS)
OTHER = (OWN + 1) % PARTITIONS
ROW, LIST = f"/api/tables/orders.state/{KEY}", "/api/tables/orders.state"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def shop() -> Cluster:
    cluster = Cluster()
    cluster.put_by_key(ORDERS, KEY.encode(), 1)
    return cluster


def at(partition: int, offset: int, topic: str = "orders.commands") -> dict[str, str]:
    return {"Min-Position": f"{topic}/{partition}={offset}"}


SHARES: tuple[dict[str, list[int]], ...] = (
    {"orders": []},
    {"orders": [OWN]},
    {"orders": sorted({*range(PARTITIONS)} - {OWN})},
)


def serve(worker: Worker, cluster: Cluster, partition: int, value: int, offset: int) -> None:
    """What a commit does: the row first, then the position."""
    cluster.put_by_key(ORDERS, KEY.encode(), value)
    worker.stages["orders"].passed.advance({TP("orders.commands", partition): offset + 1})


@pytest.mark.parametrize("path", [ROW, LIST])
@pytest.mark.parametrize("topic", ORDERS.sources)
def test_what_has_been_passed_is_answered_at_once_from_anywhere(path: str, topic: str) -> None:
    async def scenario() -> None:
        async with workers(shop(), *SHARES) as started:
            began = time.monotonic()
            for worker in started:
                for partition in range(PARTITIONS):
                    assert (await get(worker.url + path, at(partition, NEXT - 1, topic))).status == 200
            assert time.monotonic() - began < WAIT_SECONDS

    run(scenario())


@pytest.mark.parametrize("path", [ROW, LIST])
@pytest.mark.parametrize("partition", [OWN, OTHER])
@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_read_waits_until_the_owner_of_the_position_has_passed_it(path: str, partition: int, asked: int) -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, *SHARES) as started:
            reading = asyncio.ensure_future(get(started[asked].url + path, at(partition, NEXT)))
            await asyncio.sleep(0.2)
            assert not reading.done()
            serve(started[1 if partition == OWN else 2], cluster, partition, 2, NEXT)
            reply = await reading
            rows = reply.json["items"] if path == LIST else [reply.json]
            assert [row["value"] for row in rows] == [2]

    run(scenario())


def test_all_of_several_positions_must_have_been_passed() -> None:
    async def scenario() -> None:
        cluster = shop()
        header = {"Min-Position": f"orders.commands/{OWN}={NEXT}, orders.replayed/{OTHER}={NEXT - 1}"}
        async with workers(cluster, *SHARES) as started:
            reading = asyncio.ensure_future(get(started[0].url + ROW, header))
            await asyncio.sleep(0.1)
            assert not reading.done()
            serve(started[1], cluster, OWN, 2, NEXT)
            assert (await reading).json["value"] == 2

    run(scenario())


def test_what_is_not_passed_in_time_is_unavailable_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.web.passing.WAIT_SECONDS", 1.0)

    async def scenario() -> None:
        async with workers(shop(), *SHARES) as started:
            began = time.monotonic()
            for reply in await asyncio.gather(*(get(worker.url + ROW, at(OWN, NEXT)) for worker in started)):
                assert (reply.status, reply.code) == (503, "not_available")
                assert f"orders.commands/{OWN}={NEXT}" in reply.json["error"]["message"]
            assert 0.5 < time.monotonic() - began < WAIT_SECONDS

    run(scenario())


def test_a_partition_that_moves_away_ends_the_wait() -> None:
    async def scenario() -> None:
        async with workers(shop(), *SHARES) as started:
            reading = asyncio.ensure_future(get(started[1].url + ROW, at(OWN, NEXT)))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            started[1].stages["orders"].passed.forget({OWN})
            assert (await reading).status == 503
            assert time.monotonic() - began < 2

    run(scenario())


def test_the_position_of_an_answer_is_passed_by_an_unchanged_view() -> None:
    async def scenario() -> None:
        async with workers(shop(), *SHARES) as started:
            for offset in (NEXT, -1):
                started[1].stages["orders"].passed.advance({TP("orders.commands", OWN): offset + 1})
                for worker in started:
                    position = (await get(worker.url + ROW)).json["position"]
                    assert position == f"orders.commands/{OWN}={offset}"
                    began = time.monotonic()
                    assert (await get(worker.url + ROW, {"Min-Position": position})).status == 200
                    assert time.monotonic() - began < 1

    run(scenario())


@pytest.mark.parametrize(
    "header",
    [
        "", "orders.commands", "orders.commands/0", "orders.commands/0=", "orders.commands/x=1", "/0=1", ",",
        "orders.commands/0=1,", "orders.commands/0=-2", "orders.commands/0=1.0", "orders.commands/0=\u0661",
        "orders.commands/0=" + "9" * 30, "orders.commands/-1=1", "orders.commands/0=1;", "a b/0=1",
        f"orders.commands/{PARTITIONS}=1", "orders.inbound/0=1", "orders.commands/0=1, orders.inbound/0=1",
    ],
)  # fmt: skip
def test_a_position_that_is_malformed_or_of_no_source_is_refused(header: str) -> None:
    async def scenario() -> None:
        async with workers(shop(), *SHARES) as started:
            for path in (ROW, LIST):
                reply = await get(started[0].url + path, {"Min-Position": header})
                assert (reply.status, reply.code) == (400, "invalid_parameter")
                assert "Min-Position" in reply.json["error"]["message"]

    run(scenario())


POSITIONS = st.dictionaries(
    st.builds(TP, st.text("aZ09._-", min_size=1, max_size=249), st.integers(0, 999_999)),
    st.integers(-1, 10**18 - 1),
    min_size=1,
    max_size=5,
)


@given(POSITIONS, POSITIONS)
def test_headers_of_positions_are_read_back_and_the_farthest_counts(one: dict[TP, int], two: dict[TP, int]) -> None:
    farthest = {tp: max(one.get(tp, -1), two.get(tp, -1)) for tp in one | two}
    assert positions_of([text_of_positions(one), text_of_positions(two)]) == farthest
