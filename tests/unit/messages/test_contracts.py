"""Contracts are read from files; whatever is wrong with one is one line that begins with the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from streams.errors import FindingsFound, UsageError
from streams.messages.avsc import identity, normalise
from streams.messages.contracts import Contracts, load_contracts
from tests.unit.messages.avro_strategies import schemas

LINE = {"type": "record", "name": "Line", "namespace": "shop", "fields": [{"name": "sku", "type": "string"}]}
ORDER = {
    "type": "record",
    "name": "order",
    "namespace": "shop",
    "fields": [
        {"name": "lines", "type": {"type": "array", "items": "Line"}},
        {"name": "gift", "type": ["null", "shop.Line"], "default": None},
        {"name": "attributes", "type": {"type": "map", "values": "long"}},
    ],
}


def load(folder: Path, **files: Any) -> Contracts:
    for name, content in files.items():
        path = folder / f"{name}.avsc"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_contracts(folder)


def test_a_contract_is_found_by_short_and_full_name(tmp_path: Path) -> None:
    contracts = load(tmp_path, order=ORDER, line=LINE)
    assert contracts["order"] is contracts["shop.order"]
    assert contracts["order"].subject == "shop.order"
    assert [each.full_name for each in contracts] == ["shop.Line", "shop.order"]
    assert "order" in contracts
    assert "customer" not in contracts


def test_a_borrowed_type_is_written_into_the_contract_once(tmp_path: Path) -> None:
    fields = load(tmp_path, order=ORDER, line=LINE)["order"].schema["fields"]
    assert fields[0]["type"]["items"]["name"] == "shop.Line"
    assert fields[1]["type"] == ["null", "shop.Line"]


def test_a_short_name_of_two_contracts_must_be_said_in_full(tmp_path: Path) -> None:
    contracts = load(tmp_path, a=LINE, b={**LINE, "namespace": "other"})
    assert "Line" not in contracts
    with pytest.raises(UsageError, match=r"ambiguous; say other\.Line or shop\.Line"):
        contracts["Line"]
    assert contracts["other.Line"].name == "Line"


def test_an_unknown_contract_is_one_line_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown contract `ordr`; known: Line"):
        load(tmp_path, a=LINE)["ordr"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lines[*].sku", "string"),
        ("lines[0].sku", "string"),
        ("gift.sku", "string"),
        ("attributes.anything", "long"),
        ("lines.sku", None),
        ("nothing", None),
    ],
)
def test_the_type_at_a_path(tmp_path: Path, path: str, expected: object) -> None:
    assert load(tmp_path, order=ORDER, line=LINE).field_type("order", path) == expected


def record(*fields: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": "f", "type": each} for each in fields], **more}


def nested(levels: int) -> Any:
    schema: Any = "int"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return record(schema)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"type": "record",\n "name" "x"}', r"bad\.avsc:2:9: not JSON: Expecting ':' delimiter"),
        ("", r"bad\.avsc:1:1: not JSON"),
        ("[" * 100_000, r"bad\.avsc: nested too deeply"),
        (nested(300), r"bad\.avsc: nested more than 200 deep"),
        ([], r"bad\.avsc: expected a record at the top level, got a union"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, r"bad\.avsc: expected a record at the top level"),
        (record("Unknown"), r"bad\.avsc: r\.f: unknown type `Unknown`"),
        (record("int", "int"), r"bad\.avsc: r\.f: the field is defined twice"),
        (record({"type": "array"}), r"bad\.avsc: r\.f: type array needs `items`"),
        (record(["null", "null"]), r"bad\.avsc: r\.f: a union needs different types, got null, null"),
        (record(["int", ["null"]]), r"bad\.avsc: r\.f: a union directly inside a union"),
        (record({"type": "bytes", "logicalType": "decimal"}), r"bad\.avsc: r\.f: a decimal needs a `precision`"),
        (record({"type": "fixed", "name": "x", "size": "4"}), r"bad\.avsc: r\.f: a fixed needs a `size`"),
        (record({"type": "enum", "name": "e", "symbols": ["A", "A"]}), r"bad\.avsc: r\.f: the symbols .* must differ"),
        (record(name="a-b"), r"bad\.avsc: a-b: `a-b` is no Avro name"),
        ({"type": "record", "name": "r"}, r"bad\.avsc: r: a record needs a list of `fields`"),
        (record({"type": "record", "name": "r", "fields": []}), r"bad\.avsc: r\.f: type `r` is defined twice"),
        (
            {"type": "record", "name": "r", "fields": [{"name": "f", "type": "int", "default": "x"}]},
            r"bad\.avsc: r\.f: default: expected int, got 'x'",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(FindingsFound, match=expected) as caught:
        load(tmp_path, bad=content)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FindingsFound) as caught:
        load(tmp_path, a="{", b=LINE, c=[], d=LINE)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "contract `shop.Line` is also defined in" in lines[-1]


def test_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder of contracts"):
        load_contracts(tmp_path / "nowhere")


@settings(deadline=None)
@given(schemas())
def test_normalising_twice_changes_nothing(schema: dict[str, Any]) -> None:
    once = normalise(schema)
    assert identity(normalise(once)) == identity(once)


def test_two_spellings_of_one_schema_are_the_same() -> None:
    spelled = {"namespace": "shop", "fields": LINE["fields"], "name": "Line", "type": "record"}
    full = {"type": "record", "name": "shop.Line", "fields": [{"type": {"type": "string"}, "name": "sku"}]}
    assert identity(normalise(spelled)) == identity(normalise(full))
