import asyncio
import base64
import hashlib
import re
from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.web.bodies import Table, Value, ValueList
from streams.web.html import Lookup, PageView, TableView, render
from tests.unit.web.memory import ORDERS, PARTITIONS, ROUTER, Cluster, get, workers

EVIL = "<script>alert(1)</script>\"'&"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def test_the_page_shows_stages_tables_and_rows_of_all_workers() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        for n in range(30):
            cluster.put(ROUTER, n % PARTITIONS, b"route:%02d" % n, {"count": n})
        async with workers(cluster, {"router": [0, 1]}, {"router": [2, 3]}) as started:
            text = (await get(f"{started[0].url}/")).text
            for expected in (*(worker.url for worker in started), "router.routes", "orders.state", "route:07"):
                assert expected in text
            assert "route:08" not in text
            assert "no worker owns orders.state" in text  # the orders table: nobody runs its stage

    run(scenario())


def test_the_form_finds_a_row_or_says_why_not() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.put_by_key(ORDERS, b"ORD-1", {"total": "12.50"})
        async with workers(cluster, {"orders": range(PARTITIONS)}) as (worker,):
            found = await get(f"{worker.url}/?table=orders.state&key=ORD-1")
            assert "12.50" in found.text.split("<h2>Tables</h2>")[0]
            assert "has no row of this key" in (await get(f"{worker.url}/?table=orders.state&key=ORD-2")).text
            assert "no such table" in (await get(f"{worker.url}/?table=x&key=y")).text
            assert "at most 2048 bytes" in (await get(f"{worker.url}/?table=orders.state&key={'k' * 3000}")).text

    run(scenario())


def test_nothing_from_outside_is_markup() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.put_by_key(ORDERS, EVIL.encode(), {EVIL: EVIL})
        async with workers(cluster, {"orders": range(PARTITIONS)}) as (worker,):
            worker.stages["orders"].reason = EVIL
            for path in ("/", f"/?table=orders.state&key={quote(EVIL)}", f"/?table={quote(EVIL)}&key={quote(EVIL)}"):
                assert "<script" not in (await get(worker.url + path)).text

    run(scenario())


@given(st.text(), st.text())
def test_no_key_or_value_can_add_an_element_to_the_page(key: str, value: str) -> None:
    table = Table(name="t.t", stage="t", table="t", by="key")

    def elements(key: str, value: str) -> list[str]:
        row = Value(key=key, value={"v": value}, position="t/0=1")
        view = PageView("w", (), (TableView(table, ValueList(items=[row], next=None)),), Lookup("t.t", key, row))
        return re.findall(r"<[^>]*>", re.sub(r'value="[^"]*"', "", render(view)))

    assert elements(key, value) == elements("k", "v")


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    async def scenario() -> None:
        async with workers(Cluster(), {"orders": range(PARTITIONS)}) as (worker,):
            reply = await get(f"{worker.url}/")
            (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"style-src 'sha256-{digest}'" in reply.headers["Content-Security-Policy"]
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            assert not re.findall(r"style=|<script|https?://(?!127\.0\.0\.1)", reply.text)

    run(scenario())


@pytest.mark.parametrize(("restored", "shown"), [(10, "10 of 300"), (300, "300 of 300")])
def test_restore_progress_is_shown(restored: int, shown: str) -> None:
    async def scenario() -> None:
        async with workers(Cluster(), {"orders": [0]}) as (worker,):
            worker.stages["orders"].partition_states[0] = ("restoring", restored, 300)
            assert shown in (await get(f"{worker.url}/")).text

    run(scenario())
