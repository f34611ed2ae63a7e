"""Orders and their lines, and batches on the engine's own classes, for the tests of patterns."""

import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import fastavro
from confluent_kafka import Message

from streams.engine.batch import Batch
from streams.engine.cycle import Cycle
from streams.engine.state import TablePartition, WriteSet
from streams.engine.stores import Mark, MemoryStore
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.framing import frame
from streams.messages.registry import Registered
from streams.patterns.stage import Running, pattern_specs
from streams.patterns.workshop import Workshop
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from tests.unit.transforming.partners import MONEY, SENT_MS, list_of, record_of

_LINE = {"sku": "string", "quantity": "int", "price": MONEY}
SCHEMAS = [
    record_of(
        "order",
        {
            "order_id": "string",
            "buyer": "string",
            "tags": (list_of("string"), []),
            "lines": list_of(record_of("Line", _LINE)),
            "note": (["null", "string"], None),
        },
    ),
    record_of(
        "order_line",
        {"order_id": "string", "line_number": "int", "line_count": "long", "buyer": "string", **_LINE},
    ),
    record_of("order_tag", {"order_id": "string", "tag": "string"}),
    record_of("picked", {"order_id": "string", "sku": "string", "last": ("boolean", False)}),
    record_of("pick_list", {"order_id": "string", "skus": list_of("string")}),
]
IDS = {schema["name"]: number for number, schema in enumerate(SCHEMAS, 31)}
TOPOLOGY = """
version: 1
topics:
  orders: {partitions: 2, contracts: [order]}
  more.orders: {partitions: 2, contracts: [order, order_tag]}
  lines: {partitions: 2, contracts: [order_line]}
  tags: {partitions: 2, contracts: [order_tag]}
  picked: {partitions: 2, contracts: [picked]}
  lists: {partitions: 2, contracts: [pick_list]}
  csv: {partitions: 2, format: csv_order}
  bare: {partitions: 2}
"""
KEYS = "contracts: {order_line: {key: payload.order_id}, order: {key: payload.order_id}}\n"
SPLIT = "{name: p, kind: splitter, source: orders, items: payload.lines, to: order_line, destination: lines}"
WHOLE = (
    "{name: p, kind: aggregator, source: lines, correlate: payload.order_id, "
    "complete: {count: payload.line_count}, to: order, destination: orders}"
)
LINES = [
    {"sku": "A", "quantity": 1, "price": Decimal("1.50")},
    {"sku": "B", "quantity": 2, "price": Decimal("2.00")},
]
ORDER = {"order_id": "ORD-1", "buyer": "Ada", "tags": ["gift", "fast"], "lines": LINES, "note": None}


def contracts() -> Contracts:
    return Contracts([contract_from(schema) for schema in SCHEMAS])


def topology(pattern: str, more: str = KEYS) -> Topology:
    return parse_topology(f"{TOPOLOGY}{more}patterns: [{pattern}]\n", "topology.yaml", {})


def registered() -> list[Registered]:
    return [Registered(each.subject, 1, IDS[each.name], each.schema) for each in contracts() if each.name in IDS]


def avro(name: str, payload: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, contracts()[name].parsed, payload)
    return frame(IDS[name], buffer.getvalue())


def decoded(value: bytes) -> dict[str, Any]:
    return Codec(contracts(), registered()).decode(value)[1]


def message(
    name: str,
    payload: Mapping[str, Any],
    message_id: str = "m-1",
    *,
    at_ms: int = SENT_MS,
    key: bytes | None = b"ORD-1",
    topic: str = "orders",
    offset: int = 0,
    **changes: bytes | None,
) -> Message:
    """A message; a header is left out by a change to None, and `_` stands for `-` but in ce_ names."""
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": message_id.encode(),
        "ce_type": name.encode(),
        "ce_source": b"shop",
        "ce_time": b"2027-01-15T07:59:59Z",
        "priority": b"high",
        **changes,
    }
    make: Any = Message  # the binding's types are narrower than what it takes
    made = make(
        topic=topic, partition=1, offset=offset, key=key, value=avro(name, payload),
        headers=[(header, value) for header, value in headers.items() if value is not None], timestamp=(1, at_ms),
    )  # fmt: skip
    return cast("Message", made)


class Stage:
    """One pattern on one partition, cycle by cycle, on the engine's own tables and batches."""

    def __init__(self, pattern: str, more: str = KEYS) -> None:
        loaded = topology(pattern, more)
        (self.pattern,) = loaded.patterns
        (self.spec,) = pattern_specs(loaded)
        known = registered()
        by_id = {each.id: each for each in known}
        self.running = Running(self.pattern, loaded)
        self.running.compile(
            Workshop(loaded, contracts(), Codec(contracts(), known), known, lambda name: by_id.get(cast("int", name)))
        )
        self.tables = {
            (table.name, 1): TablePartition(table, 1, f"{table.name}.changelog", MemoryStore())
            for table in self.spec.tables
        }
        self.letters: list[str] = []

    def handle(self, records: Sequence[Message]) -> list[tuple[Any, ...]]:
        """Outputs of one committed cycle with these records."""
        cycle = Cycle(self.tables)
        batch = Batch(
            self.pattern.source, 1, list(records), stage=self.spec.name, dead_letters="letters",
            known_topics={self.pattern.destination: 2, "letters": 1}, cycle=cycle,
        )  # fmt: skip
        self.running.run(batch)
        for at, writes in cycle.write_sets.items():
            self._commit(at, writes)
        made = [tuple(output) for output in batch.out if output[0] != "letters"]
        self.letters += [_said(output) for output in batch.out if output[0] == "letters"]
        return made

    def _commit(self, at: tuple[str, int], writes: WriteSet) -> None:
        self.tables[at].store.apply(list(writes.in_bytes().items()), Mark("c", "t", 0, 0.0))

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return len(list(self.tables[table, 1].store.scan(b"", None, 100_000)))


def _said(letter: tuple[Any, ...]) -> str:
    said = dict(letter[5])["__streams.errors.message"]
    return str(said.decode() if isinstance(said, bytes) else said)
