import pytest

from streams.web.readiness import readiness_of
from tests.unit.web.memory import ORDERS, ROUTER, Cluster, MemoryStage


def stage(state: str = "running", reason: str = "", **partitions: tuple[str, int, int]) -> MemoryStage:
    states = {int(name[1:]): shown for name, shown in partitions.items()}
    return MemoryStage(ORDERS, Cluster(), set(), state, reason, states)


def test_a_worker_is_ready_when_all_runs() -> None:
    body = readiness_of([stage(p0=("running", 3, 3)).status(), MemoryStage(ROUTER, Cluster()).status()])
    assert body.ready
    assert body.waiting_for == []


def test_a_stage_that_owns_nothing_is_ready() -> None:
    assert readiness_of([stage().status()]).ready


def test_nothing_is_not_ready() -> None:
    assert readiness_of([]).waiting_for == ["no stage runs here"]


@pytest.mark.parametrize("state", ["waiting", "starting", "restoring", "stopping", "stopped", "failed"])
def test_every_other_state_is_not_ready_and_says_why(state: str) -> None:
    body = readiness_of([MemoryStage(ROUTER, Cluster()).status(), stage(state, "broker absent").status()])
    assert not body.ready
    assert body.waiting_for == [f"orders: {state}: broker absent"]


def test_a_partition_that_restores_is_not_ready_and_says_how_far_it_is() -> None:
    body = readiness_of([stage(p0=("running", 3, 3), p1=("restoring", 10, 300)).status()])
    assert body.waiting_for == ["orders: restoring orders.commands/1, 10 of 300 changelog records"]


def test_a_paused_partition_is_told_but_does_not_make_the_worker_unready() -> None:
    body = readiness_of([stage(p2=("paused", 0, 0)).status()])
    assert body.ready
    assert body.paused == ["orders: orders.commands/2"]
