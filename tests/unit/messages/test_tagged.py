"""Tagged fields are found wherever a contract can have them; a contract that tags what cannot be kept is refused."""

from typing import Any

import pytest

from streams.errors import InvalidMessage
from streams.messages.avsc import SchemaMistake
from streams.messages.contracts import Contract, contract_from
from streams.messages.json_values import from_json
from streams.messages.tagged import compile_walk, crosses_tag, tagged_paths
from streams.security.fields import Value

PII = {"confluent:tags": ["PII"]}
PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "name", "type": "string", **PII},
        {"name": "photo", "type": ["null", "bytes"], "default": None, **PII},
        {"name": "city", "type": "string", "confluent:tags": ["PUBLIC"]},
        {"name": "children", "type": {"type": "array", "items": "Person"}, "default": []},
    ],
}


def contract(*fields: dict[str, Any]) -> Contract:
    return contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": list(fields)})


ORDER = contract(
    {"name": "id", "type": "string"},
    {"name": "buyer", "type": ["null", PERSON], "default": None},
    {"name": "guests", "type": {"type": "map", "values": "Person"}, "default": {}},
    {"name": "mails", "type": {"type": "array", "items": ["null", "string"]}, **PII},
    {"name": "notes", "type": {"type": "map", "values": "string"}, "default": {}, **PII},
    {"name": "origin", "type": "string", "default": "web", **PII},
)
ADA = {"name": "Ada", "photo": b"\x89", "city": "London", "children": []}
PAYLOAD = {
    "id": "ORD-1",
    "buyer": {**ADA, "children": [{**ADA, "name": "Byron", "photo": None}]},
    "guests": {"a": ADA, "b.c": ADA},
    "mails": ["ada@example.org", None],
    "notes": {"x": "hush"},
}


def seen(schema: Any, payload: dict[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {}

    def note(value: Value, path: str) -> Value:
        assert path not in found
        found[path] = value
        return value

    walk = compile_walk(schema)
    assert walk is not None
    walk(payload, "", note)
    return found


def test_every_tagged_value_is_found_under_a_path_of_its_own() -> None:
    assert seen(ORDER.schema, PAYLOAD) == {
        "buyer.name": "Ada",
        "buyer.photo": b"\x89",
        "buyer.children[0].name": "Byron",
        "guests.a.name": "Ada",
        "guests.a.photo": b"\x89",
        'guests."b.c".name': "Ada",
        'guests."b.c".photo': b"\x89",
        "mails[0]": "ada@example.org",
        "notes.x": "hush",
        "origin": "web",  # the contract's default, which would go out in the clear
    }


def test_only_the_tagged_values_change_and_the_payload_stays_as_it_was() -> None:
    walk = compile_walk(ORDER.schema)
    assert walk is not None
    changed = walk(PAYLOAD, "", lambda value, _path: value * 2)
    assert changed["buyer"]["city"] == "London"
    assert changed["buyer"]["name"] == "AdaAda"
    assert changed["mails"] == ["ada@example.org" * 2, None]
    assert PAYLOAD["buyer"]["name"] == "Ada"  # type: ignore[index]


def test_a_contract_without_the_tag_is_left_alone() -> None:
    assert compile_walk(contract({"name": "id", "type": "string", "confluent:tags": ["PRIVATE"]}).schema) is None


def test_their_paths_for_people() -> None:
    assert tagged_paths(ORDER.schema) == {
        "buyer.name", "buyer.photo", "guests.*.name", "guests.*.photo", "mails", "notes", "origin",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "crosses"),
    [
        ("id", False),
        ("buyer", False),
        ("buyer.name", True),
        ("buyer.city", False),
        ("buyer.children[*].children[0].name", True),
        ("guests.anyone.photo", True),
        ("mails[0]", True),
        ("notes.x", True),
        ("nothing", False),
    ],
)
def test_whether_a_path_leads_to_a_tagged_field(path: str, *, crosses: bool) -> None:
    assert crosses_tag(ORDER.schema, path) is crosses


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("int", "email: tagged PII, but of type int"),
        (["null", "long"], "of type long"),
        ({"type": "string", "logicalType": "uuid"}, "of type uuid"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4}, "of type decimal"),
        ({"type": "fixed", "name": "F", "size": 4}, "of type fixed"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "of type enum"),
        ({"type": "array", "items": "int"}, r"email\[\*\]: tagged PII, but of type int"),
        (["null", "string", "bytes"], "union of several types"),
        ({"type": "record", "name": "R", "fields": []}, "of type record"),
    ],
)
def test_what_cannot_be_encrypted_cannot_be_tagged(kind: Any, said: str) -> None:
    with pytest.raises(SchemaMistake, match=said):
        contract({"name": "email", "type": kind, **PII})


def test_a_tag_in_one_of_several_records_is_refused() -> None:
    other = {"type": "record", "name": "Firm", "fields": [{"name": "name", "type": "string"}]}
    with pytest.raises(SchemaMistake, match="buyer: tagged PII in a union of several types"):
        contract({"name": "buyer", "type": ["null", PERSON, other]})


@pytest.mark.parametrize(("name", "value"), [("mails", ["canary", 5]), ("origin", {"canary": 1}), ("mails", "canary")])
def test_a_mistake_in_a_tagged_field_is_told_without_its_value(name: str, value: Any) -> None:
    json = {"id": "ORD-1", "mails": [], name: value}
    with pytest.raises(InvalidMessage, match="tagged, so not shown") as refused:
        from_json(ORDER, json)
    assert "canary" not in str(refused.value)
    walk = compile_walk(ORDER.schema)
    assert walk is not None
    if isinstance(value, dict):
        with pytest.raises(InvalidMessage, match=f"{name}: expected string, got dict"):
            walk(json, "", lambda found, _path: found)
