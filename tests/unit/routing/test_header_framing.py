"""Messages whose schema a header names (Confluent's header framing) are routed like those with an id in the value."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import header_schema_id_serializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from streams.errors import InvalidMessage
from streams.messages.framing import FRAME_SIZE, SCHEMA_HEADER, frame
from streams.messages.message import Record
from streams.routing.router import CompiledRouter, Matched, compile_router
from tests.unit.routing.shop import (
    NOW,
    ORDER_ID,
    SENT_MS,
    Batch,
    contracts,
    headers,
    message,
    order,
    refund,
    registered,
    topology,
)

GUIDS = {each.id: bytes([each.id]) * 16 for each in registered()}
REFUND_GUID = GUIDS[refund()[4]]
ROUTES = (
    "{name: costly, conditions: [{field: payload.total_amount, operator: greater_than, value: 1000}],"
    " destinations: [{queue: express}]}, {name: rest, destinations: [{queue: standard}]}"
)


def router(source: str = "shop.inbound", carried: tuple[str, ...] = ("order",)) -> CompiledRouter:
    found = topology(f"routers: [{{source: {source}, mode: first, routes: [{ROUTES}]}}]").routers[0]
    versions = [replace(each, guid=GUIDS[each.id]) for each in registered()]
    return compile_router(found, carried, contracts(), versions, lambda: NOW)


def named_by(header: bytes | None, value: bytes, *, ce: bool = True) -> Record:
    return message(value, [*(headers() if ce else ()), (SCHEMA_HEADER, header)])


def route(compiled: CompiledRouter, record: Record) -> list[Any]:
    batch = Batch()
    matched: Matched = defaultdict(list)
    compiled.bind(batch, matched)(record)
    return batch.out


def bare(value: bytes) -> bytes:
    return value[FRAME_SIZE:]


GUID_HEADER = b"\x01" + GUIDS[ORDER_ID]
COSTLY = order(total_amount=Decimal(2000))


def test_a_guid_in_the_header_is_routed_by_its_payload_and_passes_as_it_came() -> None:
    value = bare(COSTLY)
    raw = [*headers(), (SCHEMA_HEADER, GUID_HEADER)]
    assert route(router(), message(value, raw)) == [("express", value, b"ORD-1", -1, SENT_MS, raw)]


def test_what_confluents_serializer_writes_is_read() -> None:
    made: list[Any] = []
    schema_id = SchemaId("AVRO", guid=str(UUID(bytes=GUIDS[ORDER_ID])))
    context = SerializationContext("shop.inbound", MessageField.VALUE, made)
    value = header_schema_id_serializer(bare(COSTLY), context, schema_id)
    assert route(router(), message(value, [*headers(), *made]))[0][0] == "express"


def test_an_id_in_the_header_serves_too() -> None:
    assert route(router(), named_by(frame(ORDER_ID, b""), bare(COSTLY)))[0][0] == "express"


def test_both_framings_may_be_in_one_topic() -> None:
    compiled = router()
    records = [
        message(COSTLY),
        named_by(GUID_HEADER, bare(COSTLY)),
        message(order()),
        named_by(GUID_HEADER, bare(order())),
    ]
    assert [route(compiled, each)[0][0] for each in records] == ["express", "express", "standard", "standard"]


def test_without_ce_headers_the_type_comes_from_the_header() -> None:
    compiled = router()
    record = named_by(GUID_HEADER, bare(order()), ce=False)
    assert route(compiled, record)[0][0] == "standard"
    assert compiled.attributes(record)["ce_type"] == b"order"


def test_the_header_counts_even_where_the_value_looks_framed() -> None:
    record = named_by(b"\x01" + REFUND_GUID, frame(ORDER_ID, bare(order())))
    with pytest.raises(InvalidMessage, match=r"expected order on shop\.inbound, got refund \(schema GUID "):
        route(router(), record)


def test_a_header_without_a_value_is_none() -> None:
    assert route(router(), named_by(None, COSTLY))[0][0] == "express"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "got nothing"),
        (b"\x01" + bytes(15), "got 0x01 first, 16 bytes"),
        (b"\x01" + bytes(17), "got 0x01 first, 18 bytes"),
        (b"\x00\x00\x07", "got 0x00 first, 3 bytes"),
        (b"\x02" + bytes(16), "got 0x02 first, 17 bytes"),
        (b"\x01" + bytes(16), "got schema GUID 00000000-0000-0000-0000-000000000000, which is not registered"),
        (b"\x00" + bytes(4), "got schema id 0, which is not registered"),
    ],
)
def test_a_header_that_names_no_schema_is_refused_with_the_reason(header: bytes, why: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        route(router(), named_by(header, bare(order())))
    assert why in str(refused.value)


def test_a_type_that_the_header_contradicts_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="ce_type: expected refund"):
        route(router("shop.mixed", ("order", "refund")), named_by(b"\x01" + REFUND_GUID, bare(refund())))


def test_damaged_avro_under_a_header_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="ends too early or is damaged"):
        route(router(), named_by(GUID_HEADER, b"\x0a"))


def test_a_deletion_under_a_header_is_refused() -> None:
    record = message(None, [*headers(), (SCHEMA_HEADER, GUID_HEADER)])
    record.set_value(None)  # type: ignore[attr-defined]  # the binding's, which the protocol leaves out
    with pytest.raises(InvalidMessage, match="expected an Avro value"):
        route(router(), record)
