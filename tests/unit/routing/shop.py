"""A small shop: contracts, topologies and messages as its producers would send them, for the router's tests."""

import io
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast

import fastavro
from confluent_kafka import Message

from streams.messages.contracts import Contract, Contracts, contract_from
from streams.messages.framing import frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.routing.router import CompiledRouter, compile_router
from streams.topology.loading import parse_topology
from streams.topology.model import Topology

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
ORDER: dict[str, Any] = {
    "type": "record",
    "name": "order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "total_amount", "type": MONEY},
        {"name": "weight", "type": ["null", "double"], "default": None},
        {"name": "gift", "type": "boolean", "default": False},
        {"name": "placed_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "fields": [{"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}],
                },
            },
            "default": [],
        },
        {"name": "attributes", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}
# The first version of an order: no attributes, no note, a whole total.
ORDER_1: dict[str, Any] = {**ORDER, "fields": ORDER["fields"][:-2]}
REFUND: dict[str, Any] = {
    "type": "record",
    "name": "refund",
    "namespace": "shop",
    "fields": [{"name": "order_id", "type": "string"}, {"name": "reason", "type": "string"}],
}

ORDER_ID, ORDER_1_ID, REFUND_ID, UNKNOWN_ID = 7, 3, 8, 99
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SENT_MS = 1_799_999_000_000
TIME = b"2027-01-15T07:59:59Z"


@cache
def contracts() -> Contracts:
    return Contracts([contract_of(ORDER), contract_of(REFUND)])


@cache
def registered() -> list[Registered]:
    old, new, refund = map(contract_of, (ORDER_1, ORDER, REFUND))
    return [
        Registered(old.subject, 1, ORDER_1_ID, old.schema),
        Registered(new.subject, 2, ORDER_ID, new.schema),
        Registered(refund.subject, 1, REFUND_ID, refund.schema),
    ]


def contract_of(schema: dict[str, Any]) -> Contract:
    return contract_from(schema)


def avro(schema: dict[str, Any], payload: Mapping[str, Any], schema_id: int) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), payload)
    return frame(schema_id, buffer.getvalue())


def order(**fields: Any) -> bytes:
    payload = {"order_id": "ORD-1", "total_amount": Decimal("12.50"), "gift": False, "lines": [], **fields}
    return avro(ORDER, {"attributes": {}, **payload}, ORDER_ID)


def refund(**fields: Any) -> bytes:
    return avro(REFUND, {"order_id": "ORD-1", "reason": "broken", **fields}, REFUND_ID)


def headers(**changes: bytes | None) -> list[tuple[str, bytes | None]]:
    """Headers of an order; `_` stands for `-`, and a change to None leaves the header out."""
    present: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"m-1",
        "ce_type": b"order",
        "ce_source": b"shop",
        "ce_time": TIME,
        **changes,
    }
    return [(name, value) for name, value in present.items() if value is not None]


def message(
    value: bytes | None = None,
    raw_headers: Iterable[tuple[str, bytes | None]] | None = None,
    *,
    key: bytes | None = b"ORD-1",
    partition: int = 1,
    offset: int = 42,
    timestamp: tuple[int, int] = (1, SENT_MS),
) -> Record:
    made = Message(
        topic="shop.inbound",
        partition=partition,
        offset=offset,
        key=key,
        value=order() if value is None else value,
        headers=list(headers() if raw_headers is None else raw_headers),
        timestamp=timestamp,
    )
    return cast("Record", made)  # the binding's types are wider than what Kafka gives


TOPICS = """
version: 1
topics:
  shop.inbound: {partitions: 4, contracts: [order]}
  shop.mixed: {partitions: 4, contracts: [order, refund]}
  express: {partitions: 2, contracts: [order]}
  standard: {partitions: 4, contracts: [order]}
  watched: {partitions: 4, contracts: [order]}
  plain: {partitions: 4}
  unheard: {partitions: 4, contracts: [unheard_of]}
aggregates:
  - {name: orders, class: "shop.orders:Order", id: payload.order_id, partitions: 4}
"""


def topology(routers: str) -> Topology:
    return parse_topology(TOPICS + routers, "topology.yaml", {})


def router(
    routes: str, *, source: str = "shop.inbound", options: str = "", clock: Callable[[], float] = lambda: NOW
) -> CompiledRouter:
    """The one router with `routes`, flow-style YAML items of a list."""
    found = topology(f"routers:\n  - source: {source}\n    {options or 'mode: first'}\n    routes: [{routes}]\n")
    declared = found.topics.get(source)
    names = declared.contracts if declared else ("order", "refund")
    return compile_router(found.routers[0], names, contracts(), registered(), clock)


class Batch:
    """The part of the engine's batch that a router uses, over four partitions a topic and two of `express`."""

    def __init__(self, partition: int = 1) -> None:
        self.partition = partition
        self.route: str | None = None
        self.out: list[Any] = []

    def partitions_of(self, topic: str) -> int:
        return {"express": 2}.get(topic, 4)
