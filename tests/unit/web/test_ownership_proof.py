"""A worker that has lost its partitions and does not know it yet must not answer from them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.unit.web.memory import ORDERS, PARTITIONS, Cluster, Worker, get, workers

ROW, LIST = "/api/tables/orders.state/ORD-1", "/api/tables/orders.state"
ALL = {"orders": range(PARTITIONS)}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def shop() -> Cluster:
    cluster = Cluster()
    cluster.put_by_key(ORDERS, b"ORD-1", 1)
    return cluster


def take_over(cluster: Cluster, successor: Worker) -> None:
    successor.stages["orders"].partitions |= set(range(PARTITIONS))
    cluster.owners["orders"] = dict.fromkeys(range(PARTITIONS), successor.url)


@pytest.mark.parametrize("path", [ROW, LIST])
def test_with_its_lease_a_worker_answers_without_asking_the_group(path: str) -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, ALL) as (worker,):
            for _turn in range(3):
                assert (await get(worker.url + path)).status == 200
            assert cluster.described == 0

    run(scenario())


@pytest.mark.parametrize("path", [ROW, LIST])
def test_without_its_lease_a_worker_asks_the_group_each_time_after_it_has_read(path: str) -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, ALL) as (worker,):
            stage = worker.stages["orders"]
            stage.lease_holds = False
            described: list[int] = []
            stage.on_read = lambda: described.append(cluster.described)
            for turn in range(3):
                assert (await get(worker.url + path)).status == 200
                assert described.pop() == turn
                assert cluster.described == turn + 1

    run(scenario())


@pytest.mark.parametrize("path", [ROW, LIST])
def test_a_worker_that_lost_its_partitions_unnoticed_asks_their_owner(path: str) -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, ALL, {"orders": []}) as (stale, owner):
            take_over(cluster, owner)
            stale.stages["orders"].lease_holds = False
            assert (await get(stale.url + path)).status == 200
            assert [request.path for request in owner.requests] == [path]
            forwarded = {"Headrace-Forwarded": "http://w", "Headrace-Partitions": "0,1,2,3"}
            assert (await get(stale.url + path, forwarded)).status == 503

    run(scenario())


def test_a_worker_that_is_frozen_between_its_read_and_its_answer_gives_nothing_away() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, ALL, {"orders": []}) as (stale, owner):
            stage = stale.stages["orders"]

            def freeze() -> None:
                stage.on_read = lambda: None
                stage.lease_holds = False
                take_over(cluster, owner)
                cluster.put_by_key(ORDERS, b"ORD-1", 2)

            stage.on_read = freeze
            assert (await get(stale.url + ROW)).json["value"] == 2

    run(scenario())


def test_a_partition_that_went_and_came_back_during_a_read_is_not_given_away() -> None:
    async def scenario() -> None:
        async with workers(shop(), ALL) as (worker,):
            stage = worker.stages["orders"]

            def reopen() -> None:
                stage.tenure += 1

            stage.on_read = reopen
            assert (await get(worker.url + ROW)).status == 503
            stage.on_read = lambda: None
            assert (await get(worker.url + ROW)).status == 200

    run(scenario())


def test_another_process_under_the_same_address_is_another_member() -> None:
    async def scenario() -> None:
        async with workers(shop(), ALL) as (worker,):
            stage = worker.stages["orders"]
            stage.lease_holds, stage.url = False, "its name before it lost the session"
            assert (await get(worker.url + ROW)).status == 503

    run(scenario())


def test_a_member_keeps_what_nobody_owns_during_a_rebalance() -> None:
    async def scenario() -> None:
        cluster = shop()
        async with workers(cluster, ALL, {"orders": []}) as (worker, _other):
            worker.stages["orders"].lease_holds = False
            described = cluster.describe(ORDERS)
            cluster.owners["orders"] = {PARTITIONS: worker.url}  # it is a member; the partitions are being dealt out
            assert described.confirm(0, worker.url)
            assert (await get(worker.url + ROW)).status == 200

    run(scenario())
