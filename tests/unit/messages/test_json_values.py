"""Payloads in JSON: what goes out comes back, and what does not fit is named by field."""

from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from streams.errors import InvalidMessage
from streams.messages.contracts import Contract, contract_from
from streams.messages.json_values import from_json, to_json
from tests.unit.messages.avro_strategies import messages

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
LINE = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "quantity", "type": "int"}, {"name": "price", "type": MONEY, "default": "\u0000"}],
}
ORDER = contract_from(
    {
        "type": "record",
        "name": "order",
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "lines", "type": {"type": "array", "items": LINE}},
            {"name": "note", "type": ["null", "string"]},
            {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "photo", "type": "bytes", "default": "\u0001\u00ff"},
            {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["OPEN", "SHUT"]}, "default": "OPEN"},
            {"name": "parent", "type": ["null", "order"], "default": None},
        ],
    }
)


def priced(price: object) -> dict[str, object]:
    return {"quantity": 1, "price": price}


LEAST: dict[str, Any] = {"order_id": "ORD-1", "lines": [], "placed": "2026-01-31T12:00:00Z"}


def test_absent_fields_take_their_defaults_and_null_where_that_may_be() -> None:
    assert from_json(ORDER, LEAST | {"lines": [{"quantity": 1}]}) == {
        "order_id": "ORD-1",
        "lines": [{"quantity": 1, "price": Decimal("0.00")}],
        "note": None,
        "placed": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "photo": b"\x01\xff",
        "state": "OPEN",
        "parent": None,
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"lines": [{"quantity": "x"}]}, 'lines[0].quantity: expected int, got "x"'),
        (
            {"lines": [{"quantity": 1}, {"quantity": 2**31}]},
            "lines[1].quantity: expected int of at most 32 bits, got 2147483648",
        ),
        ({"lines": [{"quantity": True}]}, "lines[0].quantity: expected int, got true"),
        ({"lines": [{}]}, "lines[0].quantity: missing; the contract requires it"),
        ({"lines": {}}, "lines: expected array, got {}"),
        ({"lines": [priced(9.5)]}, "lines[0].price: expected decimal(6,2) as a string, got 9.5"),
        (
            {"lines": [{"quantity": 1, "price": "9.555"}]},
            'lines[0].price: expected decimal(6,2) as a string, got "9.555"',
        ),
        (
            {"lines": [{"quantity": 1, "price": "12345.00"}]},
            'lines[0].price: expected decimal(6,2) as a string, got "12345.00"',
        ),
        ({"order_id": None}, "order_id: expected string, got null"),
        ({"note": 7}, "note: expected string, got 7"),
        ({"placed": "yesterday"}, 'placed: expected a time such as 2026-01-31T12:00:00Z, got "yesterday"'),
        (
            {"placed": "2026-01-31T12:00:00"},
            'placed: expected a time such as 2026-01-31T12:00:00Z, got "2026-01-31T12:00:00"',
        ),
        ({"photo": "%%"}, 'photo: expected bytes in base64, got "%%"'),
        ({"state": "AJAR"}, 'state: expected one of OPEN, SHUT, got "AJAR"'),
        ({"colour": 1}, "colour: unknown field; order has lines, note, order_id, parent, photo, placed, state"),
        ({"parent": {"order_id": 1}}, "parent.order_id: expected string, got 1"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_field(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        from_json(ORDER, LEAST | change)
    assert str(caught.value) == expected


def test_a_payload_that_is_no_object_is_said_so() -> None:
    with pytest.raises(InvalidMessage, match=r"^payload: expected record order, got \[\]$"):
        from_json(ORDER, [])


def test_json_says_decimals_as_strings_bytes_as_base64_times_as_rfc_3339() -> None:
    payload = {
        "d": Decimal("12.50"),
        "b": b"\x01\xff",
        "t": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "on": date(2026, 1, 31),
    }
    assert to_json(payload) == {"d": "12.50", "b": "Af8=", "t": "2026-01-31T12:00:00Z", "on": "2026-01-31"}
    assert to_json([float("nan"), float("-inf")]) == ["NaN", "-Infinity"]


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(messages())
def test_a_payload_survives_json(message: tuple[Any, Any, bytes]) -> None:
    parsed, payload, value = message
    contract = contract_of(parsed)
    text = orjson.dumps(to_json(payload))
    stream = BytesIO()
    fastavro.schemaless_writer(stream, contract.parsed, from_json(contract, orjson.loads(text)))
    assert fastavro.schemaless_reader(BytesIO(stream.getvalue()), parsed, None) == payload
    assert stream.getvalue() == value[5:]


def contract_of(parsed: Any) -> Contract:
    return contract_from({key: value for key, value in parsed.items() if not key.startswith("__")})
