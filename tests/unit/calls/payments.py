"""Contracts, topologies, intents and a peer of a payment gateway, for the tests of calls."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import fastavro
from aiohttp import web
from confluent_kafka import Message

from streams.messages.contracts import Contracts, contract_from
from streams.messages.framing import frame
from streams.messages.registry import Registered
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from tests.unit.transforming.partners import MONEY, SENT_MS, record_of

SCHEMAS = [
    record_of("PaymentRequested", {"order_id": "string", "amount": MONEY, "card": (["null", "string"], None)}),
    record_of("RecordCharge", {"order_id": "string", "charge_id": "string", "amount": MONEY}),
    record_of("RecordDecline", {"order_id": "string", "reason": ("string", "declined")}),
    record_of("OrderPlaced", {"order_id": "string"}),
    record_of("Tagged", {"order_id": "string", "email": "string"}),
]
SCHEMAS[4]["fields"][1]["confluent:tags"] = ["PII"]
IDS = {schema["name"]: number for number, schema in enumerate(SCHEMAS, 21)}
AGGREGATES = """
aggregates:
  - {name: orders, class: "shop:Order", id: payload.order_id, partitions: 4}
  - {name: payments, class: "shop:Payment", id: payload.order_id, partitions: 4}
"""
TOPICS = """
topics:
  requests: {partitions: 2, contracts: [PaymentRequested, OrderPlaced]}
  results: {partitions: 2, contracts: [RecordCharge, shop.RecordDecline]}
"""
CALL = """
calls:
  - name: gateway
    url: "http://127.0.0.1:1"
    on: PaymentRequested
    request: {path: /charges}
    result: {succeeds_with: RecordCharge, fails_with: RecordDecline}
"""


def contracts() -> Contracts:
    return Contracts([contract_from(schema) for schema in SCHEMAS])


def topology(text: str) -> Topology:
    return parse_topology(f"version: 1\n{text}", "topology.yaml", {})


class Registry:
    """A registry in memory."""

    def all(self) -> list[Registered]:
        return [Registered(each.subject, 1, IDS[each.name], each.schema) for each in contracts()]

    def by_guid(self, guid: bytes) -> None:
        del guid


def avro(name: str, payload: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, contracts()[name].parsed, payload)
    return frame(IDS[name], buffer.getvalue())


def event(
    name: str,
    payload: Mapping[str, Any] | None,
    *,
    key: bytes | None = b"ORD-1/00000000000000000003",
    topic: str = "payments.events",
    **changes: bytes | None,
) -> Message:
    """An event as an aggregate commits it; a header is left out by a change to None."""
    headers: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"e-7",
        "ce_type": name.encode(),
        "ce_source": b"headrace/payments",
        "ce_time": b"2027-01-15T07:59:59Z",
        "ce_subject": b"ORD-1",
        "ce_correlationid": b"conversation",
        "aggregate-version": b"3",
        "saga": b"fulfil/1/s-1",
        "x-mine": b"\xff",
        **changes,
    }
    make: Any = Message  # the binding's types are narrower than what it takes
    made = make(
        topic=topic,
        partition=0,
        offset=5,
        key=key,
        value=None if payload is None else avro(name, payload),
        headers=[(header, value) for header, value in headers.items() if value is not None],
        timestamp=(1, SENT_MS),
    )
    return cast("Message", made)


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def peer(handle: Handler) -> AsyncIterator[str]:
    """A server of its own, that answers every request as `handle` does; gives its address."""
    server = web.Server(handle)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def never() -> None:
    await asyncio.Event().wait()
