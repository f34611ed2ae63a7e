import asyncio
import random
import re
from collections.abc import Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.unit.web.memory import ORDERS, PARTITIONS, Cluster, get, workers

ALL = {"orders": range(PARTITIONS), "router": range(PARTITIONS)}
ROLES = {"view-me": "viewer"}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/tables/orders.state?limit=x", 400), ("/api/tables/orders.state?limit=0", 400),
        ("/api/tables/orders.state?unknown=1", 400), ("/api/tables/orders.state?prefix=%ff", 400),
        ("/api/tables/orders.state/%ff", 400), ("/api/tables/orders.state/%e4", 400), ("/api/tables/%ff", 400),
        ("/api/tables/orders.state/a%zz", 400), ("/api/tables/orders.state/" + "k" * 3000, 400),
        ("/api/tables/orders.state/base64:%25", 400), ("/api/tables/orders.state/k?x=1", 400),
        ("/api/tables/nothing", 404), ("/api/tables/nothing.there/key", 404), ("/api/tables/orders", 404),
        ("/api/tables/<script>alert(1)</script>", 404), ("/api/nothing", 404), ("/nothing", 404),
        ("/api/tables/", 404), ("/api/tables/orders.state/", 404), ("/api/tables/..%2f..%2fetc%2fpasswd", 404),
        ("/table/orders", 404), ("/router/x/y/", 404), ("/stats/", 404), ("/?nonsense=1", 400),
    ],
)  # fmt: skip
def test_a_wrong_request_gets_one_json_error(path: str, status: int) -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            reply = await get(worker.url + path)
            assert reply.status == status
            assert set(reply.json["error"]) == {"code", "message"}
            assert "script" not in reply.text
            assert "\n" not in reply.json["error"]["message"]

    run(scenario())


def test_no_request_line_makes_a_500() -> None:
    seeded = random.Random(1)
    pieces = [
        "/",
        "api",
        "tables",
        "orders.state",
        "%",
        "%ff",
        "?",
        "&",
        "=",
        "limit",
        "after",
        "prefix",
        "a",
        "..",
        "%00",
        "+",
        ":",
        "{",
        "~",
        "%2F",
    ]

    async def ask(port: int, target: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return int(answer.split()[1])

    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            port = int(worker.url.rpartition(":")[2])
            for _turn in range(300):
                tail = "".join(seeded.choices(pieces, k=seeded.randrange(6)))
                target = (
                    seeded.choice(["/api/tables/orders.state/", "/api/tables/orders.state?", "/api/tables/", "/"])
                    + tail
                )
                assert await ask(port, target) in {200, 400, 404}, target

    run(scenario())


def test_other_methods_are_refused_with_what_is_allowed() -> None:
    async def scenario() -> None:
        async with (
            workers(Cluster(), ALL) as (worker,),
            aiohttp.ClientSession() as session,
            session.post(f"{worker.url}/api/tables") as response,
        ):
            assert response.status == 405
            assert "GET" in response.headers["Allow"]
            assert (await response.json())["error"]["code"] == "method_not_allowed"

    run(scenario())


def test_every_answer_has_the_security_headers() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            for path in ("/", "/api/tables", "/nothing", "/livez", "/metrics", "/api/tables/orders.state?limit=x"):
                headers = (await get(worker.url + path)).headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["Server"] == "headrace"
                assert headers["Cache-Control"] == "no-store"

    run(scenario())


def test_with_tokens_reads_need_one_and_probes_do_not() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL, roles=ROLES) as (worker,):
            for path in ("/", "/api/tables", "/api/stages", "/api/openapi.json", "/api/tables/orders.state"):
                refused = await get(worker.url + path)
                assert (refused.status, refused.code) == (401, "unauthorized")
                assert refused.headers["WWW-Authenticate"] == "Bearer"
                assert (await get(worker.url + path, {"Authorization": "Bearer wrong"})).status == 401
                assert (await get(worker.url + path, {"Authorization": "Bearer view-me"})).status == 200
            for path in ("/livez", "/readyz", "/metrics"):
                assert (await get(worker.url + path)).status == 200

    run(scenario())


def test_a_forwarded_request_carries_the_callers_token() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.put_by_key(ORDERS, b"ORD-1", 1)
        token = {"Authorization": "Bearer view-me"}
        async with workers(cluster, {"orders": []}, {"orders": range(PARTITIONS)}, roles=ROLES) as (asked, owner):
            for path in ("/api/tables/orders.state/ORD-1", "/api/tables/orders.state", "/api/stages"):
                assert (await get(asked.url + path, token)).status == 200
            assert {request.headers["Authorization"] for request in owner.requests} == {"Bearer view-me"}

    run(scenario())


def test_a_foreign_host_name_is_refused_without_tokens() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            assert (await get(f"{worker.url}/api/tables", {"Host": "evil.example.org"})).status == 403
            assert (await get(f"{worker.url}/readyz", {"Host": "10.1.2.3:6066"})).status == 200

    run(scenario())


def test_every_worker_tells_of_all_stages_and_workers() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), {"orders": [0, 1]}, {"orders": [2, 3]}) as started:
            for worker in started:
                orders, router = (await get(f"{worker.url}/api/stages")).json["items"]
                assert (orders["name"], orders["state"], orders["group"]) == ("orders", "running", "headrace.orders")
                assert {each["url"] for each in orders["workers"]} == {each.url for each in started}
                partitions = [p for each in orders["workers"] for p in each["partitions"]]
                assert sorted(p["partition"] for p in partitions) == [0, 1, 2, 3]
                assert (router["state"], router["workers"]) == ("stopped", [])

    run(scenario())


def test_a_stage_is_as_ready_as_its_least_ready_worker_and_a_lost_one_is_shown() -> None:
    async def fail(request: web.Request) -> web.Response | None:
        return web.Response(status=500) if "Headrace-Forwarded" in request.headers else None

    async def scenario() -> None:
        async with workers(Cluster(), {"orders": [0]}, {"orders": [1]}) as (first, second):
            second.stages["orders"].state = "restoring"
            assert (await get(f"{first.url}/api/stages")).json["items"][0]["state"] == "restoring"
        async with workers(Cluster(), {"orders": [0]}, {"orders": [1]}, answer=fail) as (first, second):
            orders = (await get(f"{first.url}/api/stages")).json["items"][0]
            assert orders["state"] == "unreachable"
            assert orders["workers"][1]["url"] == second.url
            assert "500" in orders["workers"][1]["reason"]

    run(scenario())


def test_readyz_answers_503_and_what_it_waits_for() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            assert (await get(f"{worker.url}/readyz")).json["ready"] is True
            worker.stages["orders"].state = "waiting"
            worker.stages["orders"].reason = "for the broker at 127.0.0.1:9092"
            reply = await get(f"{worker.url}/readyz")
            assert (reply.status, reply.json["ready"]) == (503, False)
            assert reply.json["waiting_for"] == ["orders: waiting: for the broker at 127.0.0.1:9092"]
            assert (await get(f"{worker.url}/livez")).status == 200
            worker.stages["orders"].state = "failed"
            assert (await get(f"{worker.url}/livez")).status == 503

    run(scenario())


def test_metrics_tell_the_state_of_the_stages() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            text = (await get(f"{worker.url}/metrics")).text
            assert 'headrace_stage_state{stage="router",state="running"} 1.0' in text
            assert 'headrace_stage_state{stage="router",state="failed"} 0.0' in text

    run(scenario())


def test_the_openapi_document_names_exactly_the_paths_that_are_served() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), ALL) as (worker,):
            document = (await get(f"{worker.url}/api/openapi.json")).json
            served = {
                re.sub(r":[^}]*}", "}", resource.canonical) for resource in worker.requests[0].app.router.resources()
            }
            assert set(document["paths"]) == served
            assert document["openapi"].startswith("3.1")

    run(scenario())
