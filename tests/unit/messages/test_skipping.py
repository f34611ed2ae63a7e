"""Skip readers: what they read is what fastavro would decode there, and damage is InvalidMessage, nothing else."""

import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import InvalidMessage, UsageError
from streams.messages.contracts import parse
from streams.messages.framing import frame
from streams.messages.paths import lookup, parse_path
from streams.messages.skipping import MISSING, compile_reader, compile_readers
from tests.unit.messages.avro_strategies import messages, paths, paths_into

thorough = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
LINE = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}],
}
ORDER = parse(
    {
        "type": "record",
        "name": "order",
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "total", "type": MONEY},
            {"name": "lines", "type": {"type": "array", "items": LINE}},
            {"name": "note", "type": ["null", "string"]},
            {"name": "attributes", "type": {"type": "map", "values": "string"}},
            {"name": "last", "type": ["null", "Line"]},
        ],
    }
)
PAYLOAD = {
    "order_id": "ORD-1",
    "total": Decimal("12.50"),
    "lines": [{"sku": "S1", "quantity": 2}, {"sku": "S2", "quantity": -7}],
    "note": None,
    "attributes": {"color": "red"},
    "last": {"sku": "S9", "quantity": 1},
}


def avro(schema: Any, payload: Any) -> bytes:
    stream = BytesIO()
    fastavro.schemaless_writer(stream, schema, payload)
    return stream.getvalue()


VALUE = frame(7, avro(ORDER, PAYLOAD))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("order_id", "ORD-1"),
        ("total", Decimal("12.50")),
        ("lines[0].quantity", 2),
        ("lines[1].quantity", -7),
        ("lines[2].quantity", MISSING),
        ("lines[*].sku", ["S1", "S2"]),
        ("note", MISSING),
        ("attributes.color", "red"),
        ("attributes.size", MISSING),
        ("last.sku", "S9"),
        ("last", {"sku": "S9", "quantity": 1}),
        ("lines", PAYLOAD["lines"]),
        ("nothing.here", MISSING),
        ("order_id.deeper", MISSING),
    ],
)
def test_a_path_finds_what_is_there(path: str, expected: object) -> None:
    found = compile_reader(ORDER, path)(VALUE)
    assert found == expected
    assert type(found) is type(expected)


def test_several_paths_are_read_in_one_pass() -> None:
    read = compile_readers(ORDER, ["lines[*].sku", "order_id", "last.quantity", "note"])
    assert read(VALUE) == (["S1", "S2"], "ORD-1", 1, MISSING)


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="is no path"):
        compile_reader(ORDER, "lines[x].sku")


def test_what_stands_behind_the_field_is_not_looked_at() -> None:
    damaged = VALUE[:12] + b"\xff" * 20
    assert compile_reader(ORDER, "order_id")(damaged) == "ORD-1"


@thorough
@given(st.data())
def test_a_reader_finds_what_fastavro_decodes(data: st.DataObject) -> None:
    schema, payload, value = data.draw(messages())
    path = data.draw(st.one_of(paths_into(schema), paths()))
    assert compile_reader(schema, path)(value) == lookup(payload, parse_path(path))


@thorough
@given(st.data())
def test_readers_of_several_paths_find_what_one_finds_each(data: st.DataObject) -> None:
    schema, _, value = data.draw(messages())
    wanted = data.draw(st.lists(st.one_of(paths_into(schema), paths()), min_size=2, max_size=4))
    one_by_one = tuple(compile_reader(schema, path)(value) for path in wanted)
    assert compile_readers(schema, wanted)(value) == one_by_one


@thorough
@given(st.data())
def test_a_value_cut_before_the_field_ends_is_invalid_and_after_it_reads_the_same(data: st.DataObject) -> None:
    schema, _, value = data.draw(messages())
    read = compile_reader(schema, data.draw(paths_into(schema)))
    whole = read(value)
    complete = False
    for size in range(5, len(value) + 1):
        try:
            found = read(value[:size])
        except InvalidMessage:
            assert not complete, "a longer cut cannot be worse"
        else:
            complete = True
            assert found == whole
    assert complete


@thorough
@given(st.data())
def test_damaged_bytes_are_read_or_invalid_but_nothing_else(data: st.DataObject) -> None:
    schema, _, value = data.draw(messages())
    damaged = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[5:] = _mutated(bytes(damaged[5:]), data)
    with contextlib.suppress(InvalidMessage):
        compile_reader(schema, data.draw(paths_into(schema)))(bytes(damaged))


def _mutated(body: bytes, data: st.DataObject) -> bytes:
    hostile = st.sampled_from(
        [b"\xff" * 9 + b"\x01", b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80" * 40, b"\x01", b"\x7f"]
    )
    at = data.draw(st.integers(0, len(body)))
    return body[:at] + data.draw(hostile) + body[at + data.draw(st.integers(0, 4)) :]


HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"  # 2^62 - 1


@pytest.mark.parametrize("length", [HUGE, b"\x01", b"\xff" * 10, b"\x80" * 30])
@pytest.mark.parametrize("path", ["order_id", "total", "lines[*].sku", "attributes.color"])
def test_a_hostile_length_is_invalid_at_once(length: bytes, path: str) -> None:
    start = time.monotonic()
    with pytest.raises(InvalidMessage):
        compile_reader(ORDER, path)(frame(7, length + b"abc"))
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("items", ["null", {"type": "record", "name": "Empty", "fields": []}])
@pytest.mark.parametrize("path", ["after", "nulls[*]", "nulls[3].x", "nulls"])
def test_items_without_bytes_cannot_be_claimed_without_bound(items: Any, path: str) -> None:
    schema = parse(
        {
            "type": "record",
            "name": "r",
            "fields": [{"name": "nulls", "type": {"type": "array", "items": items}}, {"name": "after", "type": "int"}],
        }
    )
    read = compile_reader(schema, path)
    start = time.monotonic()
    with contextlib.suppress(InvalidMessage):
        read(frame(1, HUGE + b"\x00\x02"))
    assert time.monotonic() - start < 1


TREE = parse(
    {
        "type": "record",
        "name": "tree",
        "fields": [{"name": "child", "type": ["null", "tree"]}, {"name": "leaf", "type": "int"}],
    }
)


@pytest.mark.parametrize("path", ["leaf", "child", "child.child.leaf"])
def test_deep_nesting_is_invalid_not_fatal(path: str) -> None:
    deep = frame(1, b"\x02" * 100_000 + b"\x00" + b"\x02" * 100_001)
    with pytest.raises(InvalidMessage):
        compile_reader(TREE, path)(deep)


def test_nesting_within_reason_is_read() -> None:
    assert compile_reader(TREE, "leaf")(frame(1, b"\x02" * 150 + b"\x00" + b"\x02" * 150 + b"\x06")) == 3


@pytest.mark.parametrize("read", [compile_reader(ORDER, "total"), compile_reader(ORDER, "lines")])
def test_a_decimal_of_more_digits_than_its_precision_is_invalid(read: Callable[[bytes], object]) -> None:
    body = b"\x02A" + b"\x06" + (1_000_000).to_bytes(3, "big") + b"\x00" * 4
    with pytest.raises(InvalidMessage, match="digits"):
        read(frame(7, body))


def test_a_field_that_the_writer_called_otherwise_is_found_by_its_alias() -> None:
    fields = [
        {"name": "id", "type": "string", "aliases": ["order_id"]},
        {"name": "currency", "type": "string", "default": "EUR"},
    ]
    newest = parse({"type": "record", "name": "order", "fields": fields})
    assert compile_reader(ORDER, "id", newest)(VALUE) == "ORD-1"
    assert compile_reader(ORDER, "currency", newest)(VALUE) == "EUR"


def test_a_promoted_number_is_read_as_the_newest_type() -> None:
    old = parse({"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}]})
    newest = parse({"type": "record", "name": "r", "fields": [{"name": "n", "type": "double"}]})
    found = compile_reader(old, "n", newest)(frame(1, b"\x06"))
    assert isinstance(found, float)
    assert found == 3.0
