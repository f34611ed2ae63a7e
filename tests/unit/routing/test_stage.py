from typing import Any

import pytest
from confluent_kafka import KafkaError
from prometheus_client import REGISTRY

from streams.config import Settings
from streams.engine.batch import Batch
from streams.engine.cycle import Cycle
from streams.engine.state import TablePartition
from streams.engine.stores import MemoryStore
from streams.errors import NotReachable
from streams.messages.message import Record
from streams.messages.registry import Registry
from streams.routing.router import CompiledRouter
from streams.routing.stage import ROUTES_TABLE, route_batch, router_specs, router_stage
from tests.unit.routing.shop import NOW, SENT_MS, contracts, headers, message, order, router, topology

KNOWN_TOPICS = {"express": 2, "standard": 4, "watched": 4, "headrace.router.dlq": 4}
ROUTES = (
    "{name: urgent, conditions: [{field: headers.priority, operator: equals, value: high}],"
    " destinations: [{queue: express}, {topic: watched}], monitoring: {alert_on_failure: true, track_latency: true}},"
    "{name: slow, conditions: [{field: headers.priority, operator: equals, value: low}],"
    " destinations: [{queue: standard}]}"
)


class Partition:
    """Partition 1 of shop.inbound in a stage with the routes table, without Kafka."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        table = TablePartition(ROUTES_TABLE, 1, "headrace.router.routes.changelog", self.store)
        self.cycle = Cycle({("routes", 1): table})

    def batch(self, records: list[Record], **more: Any) -> Batch:
        made: list[Any] = list(records)
        return Batch(
            "shop.inbound",
            1,
            made,
            stage="router",
            dead_letters="headrace.router.dlq",
            known_topics=KNOWN_TOPICS,
            cycle=self.cycle,
            **more,
        )

    def row(self, route: str) -> Any:
        return self.cycle.write_set("routes", 1).get(f"{route}:shop.inbound:1".encode())


def records(*priorities: bytes) -> list[Record]:
    return [
        message(order(), headers(ce_id=b"m-%d" % i, priority=priority), offset=i)
        for i, priority in enumerate(priorities)
    ]


def refused(*offsets: int) -> dict[int, KafkaError]:
    return dict.fromkeys(offsets, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))


def committed(batch: Batch) -> None:
    for call in batch.callbacks:
        call(NOW)


def sample(name: str, route: str) -> float:
    return REGISTRY.get_sample_value(name, {"route": route}) or 0.0


def test_the_routes_table_counts_each_route_and_names_its_last_message() -> None:
    partition = Partition()
    route_batch(partition.batch(records(b"high", b"low", b"high")), router(ROUTES))
    route_batch(partition.batch(records(b"low")), router(ROUTES))
    assert partition.row("urgent") == {
        "count": 2,
        "last_message_id": "m-2",
        "last_message_time": "2027-01-15T07:59:59Z",
    }
    assert partition.row("slow")["count"] == 2
    assert partition.row("slow")["last_message_id"] == "m-0"


def test_a_message_that_two_routes_match_is_counted_for_both() -> None:
    partition = Partition()
    both = ROUTES + ",{name: rest, destinations: [{queue: standard}]}"
    route_batch(partition.batch(records(b"low", b"high")), router(both, options="mode: all"))
    assert {name: partition.row(name)["count"] for name in ("urgent", "slow", "rest")} == {
        "urgent": 1,
        "slow": 1,
        "rest": 2,
    }
    assert partition.row("rest")["last_message_id"] == "m-1"


def test_what_cannot_be_routed_becomes_a_dead_letter_and_is_not_counted() -> None:
    partition = Partition()
    batch = partition.batch([*records(b"normal", b"low"), message(b"", offset=8)])
    route_batch(batch, router(ROUTES))
    assert [out[0] for out in batch.out] == ["headrace.router.dlq", "standard", "headrace.router.dlq"]
    assert [dict(out[5] or ())["headrace-category"] for out in batch.out[::2]] == [b"UNROUTABLE", b"INVALID_FORMAT"]
    assert "headrace-route" not in dict(batch.out[0][5] or ())
    assert partition.row("slow")["count"] == 1
    assert partition.row("urgent") is None


def test_a_record_whose_produce_was_refused_is_not_counted_and_its_letter_names_the_route() -> None:
    partition = Partition()
    batch = partition.batch(records(b"high", b"high", b"low"), refused=refused(1))
    route_batch(batch, router(ROUTES))
    assert [out[0] for out in batch.out] == ["express", "watched", "headrace.router.dlq", "standard"]
    assert dict(batch.out[2][5] or ())["headrace-route"] == b"urgent"
    assert partition.row("urgent") == {
        "count": 1,
        "last_message_id": "m-0",
        "last_message_time": "2027-01-15T07:59:59Z",
    }


def test_metrics_move_only_with_the_commit() -> None:
    before = {name: sample(name, "urgent") for name in ("headrace_routed_total", "headrace_route_failures_total")}
    batch = Partition().batch(records(b"high", b"high", b"low"), refused=refused(1))
    route_batch(batch, router(ROUTES))
    assert sample("headrace_routed_total", "urgent") == before["headrace_routed_total"]
    latency = sample("headrace_route_latency_seconds_sum", "urgent")
    committed(batch)
    assert sample("headrace_routed_total", "urgent") == before["headrace_routed_total"] + 1
    assert sample("headrace_route_failures_total", "urgent") == before["headrace_route_failures_total"] + 1
    assert sample("headrace_route_latency_seconds_sum", "urgent") - latency == pytest.approx(NOW - SENT_MS / 1000)
    assert sample("headrace_route_latency_seconds_count", "slow") == 0


def test_a_plain_message_is_remembered_by_where_it_stood() -> None:
    partition = Partition()
    compiled: CompiledRouter = router("{name: all, destinations: [{queue: standard}]}")
    route_batch(partition.batch([message(order(), [], offset=42)]), compiled)
    assert partition.row("all") == {
        "count": 1,
        "last_message_id": "shop.inbound-1-42",
        "last_message_time": "2027-01-15T07:43:20Z",
    }


STAGES = """
routers:
  - source: shop.inbound
    unmatched: watched
    routes: [{name: a, destinations: [{queue: express}]}]
  - source: shop.mixed
    routes: [{name: a, destinations: [{queue: standard}]}]
  - source: orders.events
    stage: second
    routes: [{name: a, destinations: [{queue: standard}]}]
"""


def test_routers_of_one_stage_share_its_transaction() -> None:
    first, second = router_specs(topology(STAGES))
    assert (first.name, first.read_by_agents) == ("router", ("shop.inbound", "shop.mixed"))
    assert [table.name for table in first.tables] == [ROUTES_TABLE.name, "parked"]
    assert first.destinations == {"express", "standard", "watched"}
    assert (second.name, second.read_by_agents) == ("second", ("orders.events",))


def no_registry() -> Registry:
    raise NotReachable("not asked before the stage starts")


def test_a_stage_has_an_agent_for_each_of_its_sources() -> None:
    declared = topology(STAGES)
    spec = router_specs(declared)[0]
    app = router_stage(spec, declared, contracts(), no_registry, Settings())
    assert sorted(app.agents) == ["route.shop.inbound", "route.shop.mixed"]
    assert app.spec is spec
