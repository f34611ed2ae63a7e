"""Whole messages: framed with the registered id, read as the newest version, refused when damaged."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.codec import Codec
from streams.messages.contracts import Contract, Contracts, contract_from
from streams.messages.framing import FRAME_SIZE, SCHEMA_HEADER, frame, schema_id_of
from streams.messages.registry import Registered
from tests.unit.messages.avro_strategies import messages

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}


def order(*fields: dict[str, Any]) -> Contract:
    return contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": list(fields)})


ID = {"name": "order_id", "type": "string"}
OLD = order(ID, {"name": "count", "type": "int"})
NEW = order(
    {**ID, "name": "id", "aliases": ["order_id"]},
    {"name": "count", "type": "double"},
    {"name": "total", "type": MONEY, "default": "\u0004\u00e2"},
)
OLD_VERSION, NEW_VERSION = (Registered("shop.order", n, 6 + n, c.schema) for n, c in ((1, OLD), (2, NEW)))
CODEC = Codec(Contracts([NEW]), [OLD_VERSION, NEW_VERSION])


def test_a_payload_comes_back_framed_with_its_version_id() -> None:
    payload = {"id": "ORD-1", "count": 2.0, "total": Decimal("9.50")}
    value = CODEC.encode("order", payload)
    assert schema_id_of(value) == 8
    assert CODEC.decode(value) == ("order", payload)


def test_an_older_version_is_read_as_the_newest() -> None:
    value = Codec(Contracts([OLD]), [OLD_VERSION]).encode("order", {"order_id": "ORD-1", "count": 2})
    assert CODEC.decode(value) == ("order", {"id": "ORD-1", "count": 2.0, "total": Decimal("12.50")})


def test_a_contract_that_is_not_registered_cannot_be_sent() -> None:
    with pytest.raises(ConfigurationRefused, match="not registered as it stands"):
        Codec(Contracts([NEW]), [OLD_VERSION]).encode("order", {"id": "x", "count": 1.0, "total": Decimal(1)})


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": 1, "count": 1.0},
        {"id": "x", "count": 1.0, "total": Decimal("9.555")},
        {"id": "x", "count": 1.0, "total": Decimal(10**6)},
    ],
)
def test_a_payload_that_does_not_fit_is_invalid(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage, match="does not fit contract order"):
        CODEC.encode("order", payload)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"\x00\x00", "got 2 bytes"),
        (b"\x01\x00\x00\x00\x07abc", "magic byte"),
        (b'{"json": true}', "magic byte"),
        (frame(99, b""), "schema id 99 is not registered"),
        (frame(8, b""), "cannot decode shop.order"),
        (frame(8, b"\x7f" + b"x" * 20), "cannot decode shop.order"),
        (frame(8, b"\x02A" + b"\x00" * 8 + b"\x06" + (1_000_000).to_bytes(3, "big")), "more than 6 digits"),
    ],
)
def test_a_value_that_cannot_be_decoded_is_invalid(value: Any, expected: str) -> None:
    with pytest.raises(InvalidMessage, match=expected):
        CODEC.decode(value)


def test_a_registered_type_without_a_contract_is_invalid() -> None:
    with pytest.raises(InvalidMessage, match=r"schema id 7 is shop\.order, which no contract defines"):
        Codec(Contracts([]), [OLD_VERSION]).decode(frame(7, b""))


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(messages(), st.data())
def test_whatever_is_decoded_is_whole_or_invalid(message: tuple[Any, Any, bytes], data: st.DataObject) -> None:
    parsed, payload, value = message
    contract = contract_from({key: each for key, each in parsed.items() if not key.startswith("__")})
    codec = Codec(Contracts([contract]), [Registered(contract.subject, 1, 1, contract.schema)])
    assert codec.decode(value)[1] == payload
    with pytest.raises(InvalidMessage):
        codec.decode(value[: data.draw(st.integers(0, max(len(value) - 1, 0)))])


def test_a_schema_that_a_header_names_decodes_a_bare_value() -> None:
    guid = bytes(range(16))
    codec = Codec(Contracts([NEW]), [OLD_VERSION, replace(NEW_VERSION, guid=guid)])
    payload = {"id": "ORD-1", "count": 2.0, "total": Decimal("12.50")}
    bare = codec.encode("order", payload)[FRAME_SIZE:]
    assert codec.decode(bare, {SCHEMA_HEADER: b"\x01" + guid}) == ("order", payload)
    assert codec.decode(bare, {SCHEMA_HEADER: frame(NEW_VERSION.id, b"")}) == ("order", payload)
    assert codec.decode(frame(NEW_VERSION.id, bare), {SCHEMA_HEADER: None}) == ("order", payload)
    with pytest.raises(InvalidMessage, match=r"schema GUID 01010101-.* is not registered"):
        codec.decode(bare, {SCHEMA_HEADER: b"\x01" * 17})
