from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from streams.errors import InvalidMessage
from streams.routing.conditions import compile_condition
from streams.routing.writers import WriterType
from streams.topology.conditions import AllOf, Comparison, Condition
from tests.unit.routing.condition_strategies import conditions, more_headers, texts, typed_payloads
from tests.unit.routing.reference import Decoded, holds
from tests.unit.routing.shop import ORDER, ORDER_ID, REFUND, avro, contracts, headers, message, order, registered


def compiled(condition: Condition, schema_id: int) -> Any:
    version = next(each for each in registered() if each.id == schema_id)
    found = compile_condition(condition, WriterType(version, contracts()))
    return (lambda *_: found) if isinstance(found, bool) else found


@given(conditions, typed_payloads, more_headers, texts)
@settings(max_examples=250, deadline=None)
def test_compiled_conditions_say_what_the_reference_says(
    condition: Condition, typed: tuple[str, Mapping[str, Any]], extra: dict[str, bytes], key: str
) -> None:
    name, payload = typed
    version = next(each for each in reversed(registered()) if each.name == name)
    value = avro(ORDER if name == "order" else REFUND, payload, version.id)
    present = dict(headers(ce_type=name.encode(), **extra))
    decoded = Decoded(name, {k: v for k, v in present.items() if v is not None}, key.encode(), payload)
    record = message(value, present.items(), key=key.encode())
    assert compiled(condition, version.id)(present, record, value) is holds(condition, decoded)


def check(field: str, test: tuple[Any, Any], record_value: bytes, **more: bytes | None) -> bool:
    condition = Comparison(field=field, operator=test[0], value=test[1])
    present = dict(headers(**more))
    answer = compiled(condition, ORDER_ID)(present, message(record_value, present.items()), record_value)
    assert isinstance(answer, bool)
    return answer


def test_a_decimal_equals_the_digits_in_the_file() -> None:
    assert check("payload.total_amount", ("equals", Decimal("0.1")), order(total_amount=Decimal("0.10")))
    assert check("payload.total_amount", ("greater_than", 1000), order(total_amount=Decimal("1000.01")))
    assert not check("payload.total_amount", ("greater_than", 1000), order(total_amount=Decimal("1000.00")))


def test_a_double_is_compared_with_the_double_that_the_digits_spell() -> None:
    assert check("payload.weight", ("equals", Decimal("0.1")), order(weight=0.1))


@pytest.mark.parametrize("text", [b"high", b"", b"NaN", b"1_0", b" 9", b"0x9", "\u0669".encode(), b"\xff"])
def test_a_header_that_is_no_number_is_missing_to_a_number(text: bytes) -> None:
    assert not check("headers.weight", ("greater_than", -1), order(), weight=text)
    assert check("headers.weight", ("not_equals", 9), order(), weight=text)
    assert check("headers.weight", ("exists", True), order(), weight=text)


def test_a_header_beside_text_is_text() -> None:
    assert not check("headers.weight", ("equals", "5"), order(), weight=b"5.0")
    assert check("headers.weight", ("equals", 5), order(), weight=b"5.0")


def test_a_missing_field_satisfies_only_not_equals_not_in_and_exists_false() -> None:
    everything: list[tuple[str, Any]] = [
        ("equals", "x"),
        ("greater_than", "x"),
        ("between", ("a", "z")),
        ("in", ("x",)),
        ("contains", ""),
    ]
    everything += [("starts_with", ""), ("ends_with", ""), ("matches", ""), ("exists", True)]
    assert not any(check("payload.note", (name, operand), order()) for name, operand in everything)
    assert check("payload.note", ("not_equals", "x"), order())
    assert check("payload.note", ("not_in", ("x",)), order())
    assert check("payload.note", ("exists", False), order())


def test_an_array_without_elements_is_missing() -> None:
    assert check("payload.lines[*].sku", ("not_equals", "x"), order(lines=[]))
    assert check("payload.lines[*].sku", ("exists", False), order(lines=[]))


def test_between_includes_both_ends() -> None:
    for amount, inside in (("9.99", False), ("10", True), ("20", True), ("20.01", False)):
        value = order(total_amount=Decimal(amount))
        assert check("payload.total_amount", ("between", (10, 20)), value) is inside


def test_matches_searches_and_stays_linear_on_patterns_made_to_hang() -> None:
    assert check("payload.order_id", ("matches", "RD-[0-9]"), order())
    assert not check("payload.order_id", ("matches", "(a+)+$"), order(order_id="a" * 5000 + "b"))


def test_an_old_writers_message_has_the_newest_versions_fields() -> None:
    old = avro(registered()[0].schema, {"order_id": "a", "total_amount": Decimal(5), "gift": True}, 3)
    for field, name, operand in (("gift", "equals", True), ("note", "exists", False), ("attributes", "exists", True)):
        condition = Comparison(field=f"payload.{field}", operator=name, value=operand)  # type: ignore[arg-type]
        assert compiled(condition, 3)(dict(headers()), message(old), old)


def condition(*fields: tuple[str, Any, Any]) -> tuple[Comparison, ...]:
    return tuple(Comparison(field=field, operator=name, value=operand) for field, name, operand in fields)


def test_what_is_not_reached_is_not_decoded() -> None:
    damaged = order()[:7]
    first = ("headers.priority", "equals", "high")
    reads = ("payload.total_amount", "greater_than", 5)
    lazy = AllOf(conditions=condition(first, reads))
    eager = AllOf(conditions=condition(reads, first))
    assert not compiled(lazy, ORDER_ID)(dict(headers()), message(damaged), damaged)
    with pytest.raises(InvalidMessage, match="total_amount"):
        compiled(eager, ORDER_ID)(dict(headers()), message(damaged), damaged)


def test_a_type_that_decides_beforehand_hides_no_damage_that_is_read_before_it() -> None:
    damaged = order()[:7]
    reads = ("payload.total_amount", "greater_than", 5)
    after = AllOf(conditions=condition(reads, ("message_type", "equals", "refund")))
    before = AllOf(conditions=condition(("message_type", "equals", "refund"), reads))
    with pytest.raises(InvalidMessage):
        compiled(after, ORDER_ID)(dict(headers()), message(damaged), damaged)
    assert not compiled(before, ORDER_ID)(dict(headers()), message(damaged), damaged)


def test_a_field_that_several_conditions_read_is_read_once_a_record() -> None:
    version = registered()[1]
    read = WriterType(version, contracts(), {"order_id"}).reader("order_id")
    assert read is not None
    first, second = order(order_id="a"), order(order_id="b")
    assert [read(first), read(first), read(second), read(first)] == ["a", "a", "b", "a"]
    with pytest.raises(InvalidMessage):
        read(first[:5])
    assert read(first) == "a"


def test_timestamp_is_the_messages_own_time() -> None:
    assert check("timestamp", ("equals", "2027-01-15T08:59:59+01:00"), order())
    assert check("timestamp", ("less_than", datetime(2028, 1, 1, tzinfo=UTC).isoformat()), order())
