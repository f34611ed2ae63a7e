import asyncio
from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.unit.web.memory import ORDERS, PARTITIONS, ROUTER, Cluster, Reply, Worker, get, workers

SPLIT = ({"orders": [0, 1], "router": [0, 3]}, {"orders": [2, 3], "router": [1]}, {"router": [2]})


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def shop() -> Cluster:
    cluster = Cluster()
    for n in range(40):
        cluster.put_by_key(ORDERS, b"ORD-%02d" % n, {"total": f"{n}.50"})
        cluster.put(ROUTER, n % PARTITIONS, b"critical:orders.inbound:%02d" % n, {"count": n})
    return cluster


async def whole(worker: Worker, table: str, limit: int) -> list[str]:
    keys: list[str] = []
    after = ""
    for _page in range(50):
        page = (await get(f"{worker.url}/api/tables/{table}?limit={limit}{after}")).json
        keys += [item["key"] for item in page["items"]]
        if page["next"] is None:
            return keys
        after = f"&after={quote(page['next'], safe='')}"
    raise AssertionError("the pages do not end")


def test_any_worker_finds_any_key() -> None:
    async def scenario() -> None:
        async with workers(shop(), *SPLIT) as started:
            for worker in started:
                for n in range(0, 40, 3):
                    row = (await get(f"{worker.url}/api/tables/orders.state/ORD-{n:02}")).json
                    assert row["key"] == f"ORD-{n:02}"
                    assert row["value"] == {"total": f"{n}.50"}
                    assert row["position"].startswith("orders.commands/")
                assert (await get(f"{worker.url}/api/tables/orders.state/ORD-99")).code == "no_such_key"

    run(scenario())


def test_any_worker_finds_any_row_of_a_table_by_source() -> None:
    async def scenario() -> None:
        async with workers(shop(), *SPLIT) as started:
            for worker in started:
                for n in range(PARTITIONS):
                    path = f"/api/tables/router.routes/critical:orders.inbound:{n:02}"
                    assert (await get(worker.url + path)).json["value"] == {"count": n}
                missing = await get(f"{worker.url}/api/tables/router.routes/nothing")
                assert (missing.status, missing.code) == (404, "no_such_key")

    run(scenario())


@pytest.mark.parametrize("limit", [1, 7, 40, 1000])
def test_pages_from_any_worker_hold_every_row_once_in_key_order(limit: int) -> None:
    async def scenario() -> None:
        async with workers(shop(), *SPLIT) as started:
            for worker in started:
                assert await whole(worker, "orders.state", limit) == [f"ORD-{n:02}" for n in range(40)]

    run(scenario())


def test_a_prefix_narrows_the_rows() -> None:
    async def scenario() -> None:
        async with workers(shop(), *SPLIT) as started:
            page = (await get(f"{started[2].url}/api/tables/orders.state?prefix=ORD-1")).json
            assert [item["key"] for item in page["items"]] == [f"ORD-{n}" for n in range(10, 20)]

    run(scenario())


@pytest.mark.parametrize("key", ["a/b", "ü & é", "100%", "?x=1#y", "base64:", "..", " "])
def test_a_key_of_any_characters_is_found_through_another_worker(key: str) -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.put_by_key(ORDERS, key.encode(), key)
        async with workers(cluster, {"orders": []}, {"orders": range(PARTITIONS)}) as (asked, _owner):
            text = key if key != "base64:" else "base64:YmFzZTY0Og=="
            row = (await get(f"{asked.url}/api/tables/orders.state/{quote(text, safe='')}")).json
            assert (row["key"], row["value"]) == (text, key)

    run(scenario())


def test_a_key_that_is_no_text_is_found_by_its_base64() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.put_by_key(ORDERS, b"\xff\x00", 1)
        async with workers(cluster, {"router": []}, {"orders": range(PARTITIONS)}) as (asked, _owner):
            assert (await get(f"{asked.url}/api/tables/orders.state/base64:_wA=")).json["value"] == 1
            assert await whole(asked, "orders.state", 5) == ["base64:_wA="]

    run(scenario())


def test_a_key_in_several_partitions_of_a_table_by_source_is_ambiguous_alone_and_whole_in_a_list() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        for partition in range(3):
            cluster.put(ROUTER, partition, b"same", partition)
        async with workers(cluster, *SPLIT) as (first, *_others):
            alone = await get(f"{first.url}/api/tables/router.routes/same")
            assert (alone.status, alone.code) == (409, "ambiguous_key")
            page = (await get(f"{first.url}/api/tables/router.routes?limit=1")).json
            assert sorted(item["value"] for item in page["items"]) == [0, 1, 2]
            assert page["next"] is None

    run(scenario())


def unavailable(reply: Reply) -> bool:
    return (reply.status, reply.code) == (503, "not_available") and int(reply.headers["Retry-After"]) > 0


def test_a_partition_that_nobody_serves_makes_the_list_unavailable_but_not_the_other_keys() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, {"orders": [0, 1, 2]}, {"orders": []}) as started:
            for worker in started:
                assert unavailable(await get(f"{worker.url}/api/tables/orders.state"))
                statuses = {(await get(f"{worker.url}/api/tables/orders.state/ORD-{n:02}")).status for n in range(40)}
                assert statuses == {200, 503}

    run(scenario())


def test_a_partition_that_is_being_restored_is_unavailable_from_everywhere() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, {"orders": range(PARTITIONS)}, {"orders": []}) as (owner, other):
            owner.stages["orders"].partitions.clear()  # it owns them still, restored they are not
            for worker in (owner, other):
                assert unavailable(await get(f"{worker.url}/api/tables/orders.state/ORD-01"))
                assert unavailable(await get(f"{worker.url}/api/tables/orders.state"))

    run(scenario())


def test_a_request_is_forwarded_once_and_never_twice() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, {"orders": []}, {"orders": []}, {"orders": range(PARTITIONS)}) as started:
            asked, mistaken, owner = started
            cluster.owners["orders"] = dict.fromkeys(range(PARTITIONS), mistaken.url)  # stale
            assert unavailable(await get(f"{asked.url}/api/tables/orders.state/ORD-01"))
            assert unavailable(await get(f"{asked.url}/api/tables/orders.state"))
            assert [r.headers["Headrace-Forwarded"] for r in mistaken.requests] == [asked.url] * 2
            assert owner.requests == []
            cluster.owners["orders"] = dict.fromkeys(range(PARTITIONS), owner.url)
            assert (await get(f"{asked.url}/api/tables/orders.state/ORD-01")).status == 200  # not remembered

    run(scenario())


@pytest.mark.parametrize("path", ["orders.state/ORD-01", "orders.state", "router.routes/x", "router.routes"])
def test_a_forwarded_request_to_a_worker_that_has_not_all_of_it_is_unavailable(path: str) -> None:
    async def scenario() -> None:
        async with workers(shop(), {"orders": [], "router": [0]}, {"orders": [0, 1, 2, 3], "router": [1, 2, 3]}) as (
            asked,
            other,
        ):
            reply = await get(f"{asked.url}/api/tables/{path}", {"Headrace-Forwarded": "http://elsewhere"})
            assert unavailable(reply)
            assert other.requests == []

    run(scenario())


async def hang(_request: web.Request) -> None:
    await asyncio.Event().wait()


async def nonsense(_request: web.Request) -> web.Response:
    return web.Response(text="<html>proxy</html>")


async def other_json(_request: web.Request) -> web.Response:
    return web.json_response({"items": 5})


async def redirect(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


@pytest.mark.parametrize("answer", [hang, nonsense, other_json, redirect])
def test_a_worker_that_hangs_or_answers_nonsense_is_unavailable_in_bounded_time(answer: Any) -> None:
    async def scenario() -> None:
        async with workers(shop(), {"orders": []}, {"orders": range(PARTITIONS)}, answer=answer) as (asked, _other):
            replies = await asyncio.wait_for(
                asyncio.gather(
                    get(f"{asked.url}/api/tables/orders.state"), get(f"{asked.url}/api/tables/orders.state/ORD-01")
                ),
                5,
            )
            assert all(map(unavailable, replies))

    run(scenario())


def test_a_worker_that_is_gone_is_unavailable() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, {"orders": []}) as (asked,):
            cluster.owners["orders"] = dict.fromkeys(range(PARTITIONS), "http://127.0.0.1:1")
            assert unavailable(await get(f"{asked.url}/api/tables/orders.state/ORD-01"))
            cluster.owners["orders"] = dict.fromkeys(range(PARTITIONS), "no address at all")
            assert unavailable(await get(f"{asked.url}/api/tables/orders.state"))

    run(scenario())


def test_tables_of_all_stages_are_listed_by_every_worker() -> None:
    async def scenario() -> None:
        async with workers(shop(), {"router": range(PARTITIONS)}) as (worker,):
            items = (await get(f"{worker.url}/api/tables")).json["items"]
            assert [(item["name"], item["by"]) for item in items] == [
                ("orders.state", "key"),
                ("router.routes", "source"),
            ]

    run(scenario())
