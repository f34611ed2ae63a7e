"""What a new version of a contract may change: nothing that older messages need to be read."""

from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.messages.avsc import normalise
from streams.messages.compatibility import incompatibilities
from streams.messages.contracts import parse
from tests.unit.messages.avro_strategies import messages, schemas


def record(kind: Any, **more: Any) -> dict[str, Any]:
    return normalise({"type": "record", "name": "shop.order", "fields": [{"name": "f", "type": kind, **more}]})


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "x", "size": size}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "e", "symbols": list(symbols), **more}


def line(name: str = "Line", kind: str = "int", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": "quantity", "type": kind}], **more}


def lines(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("long", "int"),
        ("double", "long"),
        ("bytes", "string"),
        (["null", "int"], "int"),
        (["null", "long"], ["null", "int"]),
        ("int", ["int"]),
        (enum("A", "B", "C"), enum("A", "B")),
        (enum("A", default="A"), enum("A", "B")),
        (lines(line("Item", aliases=["Line"])), lines(line("Line"))),
        (decimal(8, 2), decimal(8, 2)),
        ({"type": "map", "values": "double"}, {"type": "map", "values": "float"}),
    ],
)
def test_a_change_that_older_messages_survive(new: Any, old: Any) -> None:
    assert incompatibilities(record(new), record(old)) == []


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("int", "long", "order.f: type long cannot be read as int"),
        ("string", "int", "order.f: type int cannot be read as string"),
        ("int", ["null", "int"], "order.f: it could be null"),
        (["null", "string"], ["null", "int"], "order.f: type int is no longer in its union"),
        (["null", "string"], ["null", "string", "long"], "order.f: type long is no longer in its union"),
        (enum("A"), enum("A", "B"), "order.f: enum symbol B is gone"),
        (fixed(4), fixed(8), "order.f: fixed of 8 bytes is now of 4"),
        (decimal(8, 3), decimal(8, 2), "order.f: decimal(8,2) is now decimal(8,3)"),
        (decimal(6, 2), decimal(8, 2), "order.f: decimal(8,2) is now decimal(6,2)"),
        ("bytes", decimal(8, 2), "order.f: decimal(8,2) is now bytes"),
        ("string", "bytes", "order.f: type bytes cannot be read as string"),
        ("long", {"type": "int", "logicalType": "date"}, "order.f: type int (date) cannot be read as long"),
        ("string", decimal(8, 2), "order.f: type decimal(8,2) cannot be read as string"),
        (lines(line(kind="int")), lines(line(kind="long")), "order.f[].quantity: type long cannot be read as int"),
        (lines(line("Item")), lines(line("Line")), "order.f[]: type shop.Line is now shop.Item"),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}, "order.f{}: type long"),
        (["null", lines(line(kind="int"))], ["null", lines(line(kind="long"))], "order.f[].quantity: type long"),
    ],
)
def test_a_change_that_older_messages_do_not_survive_is_named_by_field(new: Any, old: Any, expected: str) -> None:
    found = incompatibilities(record(new), record(old))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_new_field_needs_a_default_and_a_renamed_one_an_alias() -> None:
    old = record("int")
    assert incompatibilities(_with(old, {"name": "g", "type": "int", "default": 0}), old) == []
    assert incompatibilities(_with(old, {"name": "g", "type": "int"}), old)[0].startswith("order.g: new field without")
    renamed = normalise({**old, "fields": [{"name": "g", "type": "int", "aliases": ["f"]}]})
    assert incompatibilities(renamed, old) == []


def _with(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    return normalise({**schema, "fields": [*schema["fields"], field]})


def test_recursion_ends() -> None:
    tree = {"type": "record", "name": "t", "fields": [{"name": "child", "type": ["null", "t"]}]}
    assert incompatibilities(normalise(tree), normalise(tree)) == []


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas())
def test_every_schema_reads_itself(schema: dict[str, Any]) -> None:
    whole = normalise(schema)
    assert incompatibilities(whole, whole) == []


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(messages(), st.data())
def test_what_is_called_compatible_can_be_read(message: tuple[Any, Any, bytes], data: st.DataObject) -> None:
    """The newest schema is a mutation of the writer's: a field changed, dropped or added."""
    writer, _, value = message
    fields = [dict(each) for each in writer["fields"]]
    position = data.draw(st.integers(0, len(fields) - 1))
    change = data.draw(st.sampled_from(["drop", "long", "double", "string", "nullable", "add"]))
    if change == "drop":
        del fields[position]
    elif change == "add":
        fields.append({"name": "extra", "type": "int", "default": 3})
    elif change == "nullable" and not isinstance(fields[position]["type"], list) and fields[position]["type"] != "null":
        fields[position]["type"] = ["null", fields[position]["type"]]
    elif change in {"long", "double", "string"} and isinstance(fields[position]["type"], str):
        fields[position]["type"] = change
    try:
        newest = normalise({"type": "record", "name": writer["name"], "fields": fields})
    except Exception:  # noqa: BLE001 a definition was dropped that others refer to: no schema, nothing to show
        return
    old = normalise({key: value for key, value in writer.items() if not key.startswith("__")})
    if not incompatibilities(newest, old):
        fastavro.schemaless_reader(BytesIO(value[5:]), writer, parse(newest))
