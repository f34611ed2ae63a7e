"""Contracts, topologies and messages of a shop with partners, for the tests of the transformer."""

import io
from collections.abc import Mapping
from typing import Any, cast

import fastavro
from confluent_kafka import Message

from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.framing import frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from streams.transforming.conversions import Conversions, conversions_of
from streams.transforming.converters import Converters
from streams.transforming.transformer import CompiledTransformer, Workshop

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SENT_MS = 1_799_999_000_000


def record_of(name: str, fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Schema of a record; a field is its type, or a type and a default."""
    made = [
        {"name": field, "type": kind[0], "default": kind[1]}
        if isinstance(kind, tuple)
        else {"name": field, "type": kind}
        for field, kind in fields.items()
    ]
    return {"type": "record", "name": name, "namespace": "shop", "fields": made, **more}


def list_of(record: Any) -> dict[str, Any]:
    return {"type": "array", "items": record}


SCHEMAS = [
    record_of(
        "v1",
        {
            "ref": "string",
            "amount": "string",
            "first": "string",
            "last": "string",
            "items": list_of(record_of("Item", {"code": "string", "qty": "string"})),
        },
    ),
    record_of(
        "v2",
        {
            "ref": "string",
            "total": MONEY,
            "currency": "string",
            "buyer": "string",
            "lines": list_of(record_of("Line", {"sku": "string", "quantity": "int"})),
        },
    ),
    record_of("order", {"order_id": "string", "total": MONEY, "pieces": "int", "note": (["null", "string"], None)}),
    record_of("csv_line", {"id": "string", "price": MONEY, "pieces": "int", "note": (["null", "string"], None)}),
    record_of("json_line", {"id": "string", "price": MONEY}),
    record_of("refund", {"order_id": "string"}),
    record_of(
        "wide",
        {
            "ref": "string",
            "amount": MONEY,
            "currency": ["null", "string"],
            "first": "string",
            "last": "string",
            "at": {"type": "long", "logicalType": "timestamp-millis"},
            "gift": "boolean",
            "items": list_of(record_of("WideItem", {"code": "string", "qty": "int", "price": MONEY})),
        },
    ),
    record_of(
        "wide_2",
        {
            "order_id": "string",
            "total": MONEY,
            "currency": "string",
            "buyer": "string",
            "placed_at": {"type": "long", "logicalType": "timestamp-millis"},
            "gift": "boolean",
            "lines": list_of(record_of("WideLine", {"sku": "string", "quantity": "int", "price": MONEY})),
        },
    ),
]
IDS = {schema["name"]: number for number, schema in enumerate(SCHEMAS, 11)}

TOPOLOGY = """
version: 1
topics:
  in: {partitions: 4, contracts: [v1, v2]}
  lines: {partitions: 4, format: csv_line}
  json: {partitions: 4, format: json_line}
  orders: {partitions: 4, contracts: [order]}
  refunds: {partitions: 4, contracts: [refund]}
  both: {partitions: 4, contracts: [v2, refund]}
  wide: {partitions: 4, contracts: [wide]}
  wides: {partitions: 4, contracts: [wide_2]}
contracts: {order: {key: payload.order_id}, wide_2: {key: payload.order_id}}
"""
MAPPING = """
mappings:
  - from: v1
    to: v2
    fields:
      ref: {from: ref}
      total: {from: amount, cast: decimal}
      currency: {default: EUR}
      buyer: {concat: [first, " ", last]}
      lines: {each: items, fields: {sku: {from: code}, quantity: {from: qty, cast: int}}}
"""
TO_ORDER = "transformations: [{source: in, to: order, destination: orders}]\n"
V1: dict[str, Any] = {
    "ref": "ORD-1",
    "amount": "19.99",
    "first": "Ada",
    "last": "Byron",
    "items": [{"code": "A", "qty": "2"}, {"code": "B", "qty": "3"}],
}
V2: dict[str, Any] = {"ref": "ORD-2", "total": "7.00", "currency": "EUR", "buyer": "Ada Byron", "lines": []}


def contracts() -> Contracts:
    return Contracts([contract_from(schema) for schema in SCHEMAS])


def guid_of_id(schema_id: int) -> bytes:
    return bytes((schema_id,)) * 16


def registered() -> list[Registered]:
    return [
        Registered(each.subject, 1, IDS[each.name], each.schema, guid_of_id(IDS[each.name]))
        for each in contracts()
        if each.name in IDS
    ]


def shop_converters() -> Converters:
    converters = Converters()

    @converters.register("v2", "order")
    def to_order(payload: dict[str, Any]) -> dict[str, Any]:
        pieces = sum(line["quantity"] for line in payload["lines"])
        return {"order_id": payload["ref"], "total": payload["total"], "pieces": pieces}

    @converters.register("csv_line", "order")
    def line_to_order(payload: dict[str, Any]) -> dict[str, Any]:
        return {
            "order_id": payload["id"],
            "total": payload["price"],
            "pieces": payload["pieces"],
            "note": payload["note"],
        }

    return converters


def topology(more: str) -> Topology:
    return parse_topology(TOPOLOGY + more, "topology.yaml", {})


def conversions(text: str, converters: Converters | None = None) -> Conversions:
    return conversions_of(topology(text), contracts(), shop_converters() if converters is None else converters)


def transformer(
    source: str, text: str, converters: Converters | None = None, late: dict[Any, Registered] | None = None
) -> CompiledTransformer:
    """The compiled transformer of `source` in a topology with `text`."""
    loaded = topology(text)
    known = registered()
    found = conversions(text, converters)
    assert found.findings == ()
    codec = Codec(found.contracts, known)
    workshop = Workshop(loaded, found, codec, known, lambda: NOW, (late or {}).get)
    return workshop.compile(source, [each for each in loaded.transformations if each.source == source])


def avro(name: str, payload: Mapping[str, Any], schema_id: int | None = None) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, contracts()[name].parsed, payload)
    return frame(schema_id or IDS[name], buffer.getvalue())


def headers(ce_type: str, **changes: bytes | None) -> list[tuple[str, bytes | None]]:
    """Headers of a message; `_` stands for `-` but in ce_ names, and a change to None leaves the header out."""
    present: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"m-1",
        "ce_type": ce_type.encode(),
        "ce_source": b"partner",
        "ce_time": b"2027-01-15T07:59:59Z",
        **changes,
    }
    return [(name, value) for name, value in present.items() if value is not None]


def message(
    value: bytes | None,
    raw: list[tuple[str, bytes | None]] | None = None,
    *,
    topic: str = "in",
    key: bytes | None = b"P-7",
    offset: int = 42,
) -> Record:
    make: Any = Message  # the binding's types are narrower than what it takes
    made = make(topic=topic, partition=1, offset=offset, key=key, value=value, headers=raw, timestamp=(1, SENT_MS))
    return cast("Record", made)


class Batch:
    """The part of the engine's batch that a transformer uses."""

    def __init__(self) -> None:
        self.partition = 6
        self.out: list[Any] = []

    def partitions_of(self, topic: str) -> int:
        return {"orders": 4, "refunds": 4, "wides": 4}[topic]
