"""Mappings: what each key does, what lint says at which place, and that what is clean makes only valid payloads."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from streams.messages.avsc import named_types
from streams.messages.contracts import contract_from
from streams.messages.json_leaves import Misfit
from streams.messages.json_types import compile_type
from streams.messages.paths import parse_path
from streams.messages.python_values import compile_python_check, compile_python_leaf
from streams.topology.integration import ConversionMapping, FieldMapping, Split, TableLookup
from streams.topology.loading import parse_topology
from streams.transforming.avro_types import AvroType
from streams.transforming.casts import RESULTS, compile_cast
from streams.transforming.copying import Unassignable, compile_copy
from streams.transforming.mapping import CompiledMapping, compile_mapping
from tests.unit.messages.avro_strategies import schemas, value_of
from tests.unit.transforming.partners import MONEY, list_of, record_of

INSTANT = {"type": "long", "logicalType": "timestamp-millis"}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
SOURCE = {
    "text": "string",
    "maybe": (["null", "string"], None),
    "number": "int",
    "big": "long",
    "price": "double",
    "money": MONEY,
    "flag": "boolean",
    "at": INSTANT,
    "colour": COLOUR,
    "raw": "bytes",
    "address": record_of("Address", {"city": "string", "zip": ["null", "string"]}),
    "items": list_of(
        record_of("Item", {"code": "string", "qty": "string", "tags": {"type": "array", "items": "string"}})
    ),
    "few": (["null", {"type": "array", "items": "string"}], None),
    "labels": {"type": "map", "values": "string"},
}
PAYLOAD: dict[str, Any] = {
    "text": "a,b",
    "maybe": None,
    "number": 7,
    "big": 2**40,
    "price": 19.99,
    "money": Decimal("12.50"),
    "flag": True,
    "at": dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC),
    "colour": "red",
    "raw": b"\x00",
    "address": {"city": "Bonn", "zip": None},
    "items": [{"code": "A", "qty": "2", "tags": ["x"]}],
    "few": None,
    "labels": {"k": "v"},
}


def compiled(target: dict[str, Any], fields: str, source: dict[str, Any] | None = None) -> CompiledMapping:
    text = f"version: 1\nmappings:\n- from: source\n  to: target\n  fields: {fields}\n"
    (mapping,) = parse_topology(text, "t", {}).mappings
    start = contract_from(record_of("source", source or SOURCE))
    return compile_mapping(mapping, start, contract_from(record_of("target", target)))


def made(kind: Any, way: str, payload: dict[str, Any] | None = None) -> Any:
    """Value of the field `x` of type `kind` that `way` makes of the payload."""
    mapping = compiled({"x": kind}, f"{{x: {way}}}")
    assert [each.message for each in mapping.findings] == []
    return mapping.convert({**PAYLOAD, **(payload or {})})["x"]


@pytest.mark.parametrize(
    ("kind", "way", "expected"),
    [
        ("string", "{from: text}", "a,b"),
        ("long", "{from: number}", 7),
        ("double", "{from: number}", 7.0),
        ("string", "{from: address.city}", "Bonn"),
        (["null", "string"], "{from: address.zip}", None),
        ("string", "{from: address.zip, default: none}", "none"),
        ("string", "{from: maybe, default: none}", "none"),
        (["null", "string"], "{from: maybe}", None),
        (["null", "string"], "{from: 'items[3].code'}", None),
        ("string", "{from: labels.k, default: '-'}", "v"),
        ("string", "{from: colour}", "red"),
        ("string", "{default: EUR}", "EUR"),
        (MONEY, "{constant: 0.1}", Decimal("0.1")),
        ("double", "{constant: 0.1}", 0.1),
        ({"type": "int", "logicalType": "date"}, "{constant: '2027-01-15'}", dt.date(2027, 1, 15)),
        (COLOUR, "{constant: green}", "green"),
        ("string", "{from: number, cast: string}", "7"),
        ("string", "{from: money, cast: string}", "12.50"),
        ("string", "{from: flag, cast: string}", "true"),
        ("string", "{from: at, cast: string}", "2027-01-15T08:00:00Z"),
        (MONEY, "{from: price, cast: decimal}", Decimal("19.99")),
        ("int", "{from: big, cast: int, default: 1}", Misfit),
        ("string", "{concat: [text, '-', number, ' ', maybe, '\"text\"']}", "a,b-7 text"),
        ("string", "{split: {from: text, by: ',', part: 0}}", "a"),
        ("string", "{split: {from: text, by: ',', part: 5}, default: none}", "none"),
        ({"type": "array", "items": "string"}, "{split: {from: text, by: ','}}", ["a", "b"]),
        ("string", "{lookup: {table: {red: rot, green: gelb}, key: colour}}", "rot"),
        ("int", "{lookup: {table: {'7': 70}, key: number}, default: 0}", 70),
        ("int", "{lookup: {table: {'8': 80}, key: number}, default: 0}", 0),
        ("int", "{lookup: {table: {'8': 80}, key: number}}", Misfit),
        ({"type": "array", "items": "string"}, "{each: few, cast: string}", None),
        (list_of(record_of("L", {"q": "int"})), "{each: items, fields: {q: {from: qty, cast: int}}}", [{"q": 2}]),
        (record_of("A", {"town": "string"}), "{from: address, fields: {town: {from: city}}}", {"town": "Bonn"}),
        (record_of("A", {"city": "string"}), "{from: address}", {"city": "Bonn"}),
    ],
)
def test_a_key_says_where_a_value_comes_from(kind: Any, way: str, expected: Any) -> None:
    if expected is Misfit:
        with pytest.raises(Misfit):
            made(kind, way)
        return
    if expected is None:
        kind = kind if isinstance(kind, list) else ["null", kind]
    assert made(kind, way) == expected


@pytest.mark.parametrize(
    ("fields", "said"),  # the finding is at the mark
    [
        ("{x: {from: ^txt}}", "no field 'txt' in source; did you mean 'text'?"),
        ("{x: {from: ^address.town}}", "no field 'address.town'"),
        ("{x: {from: ^'items[*].code'}}", "use each: for the items"),
        ("{x: {from: ^money}}", "'money': decimal(12,2) is no string; add cast: string"),
        ("{x: {from: money, cast: ^decimal}}", "cast decimal makes no string; correct the cast"),
        ("{x: {from: raw, cast: ^string}}", "not bytes"),
        ("{x: {from: ^raw}}", "no cast does that"),
        ("{x: {from: ^maybe}}", "'maybe' may be null, 'x' may not; add a default"),
        ("{x: {from: maybe, default: ^1}}", "expected string, got 1"),
        ("{x: {constant: ^1}}", "expected string, got 1; correct the value"),
        ("{^y: {constant: 1}}", "no field 'y' in target"),
        ("^{y: {constant: 1}}", "field 'x' of target is not mapped; its contract requires it"),
        ("{^x: {from: text, constant: a}}", "not exactly one of from, constant"),
        ("{^x: {cast: string}}", "not exactly one of from, constant"),
        ("{x: {constant: a, default: ^b}}", "default beside constant; it would mean nothing"),
        ("{x: {concat: [text, ^nuber]}}", "did you mean 'number'? (text goes in double quotes"),
        ("{x: {concat: [^items]}}", "'items' is array, which is no text"),
        ("{x: {split: {from: ^number, by: ','}}}", "only text can be split"),
        ("{x: {split: ^{from: text, by: ',', part: 1}}}", "part 1 of 'text' may be null"),
        ("{x: {lookup: {table: ^projections.p.t, key: text}}}", "cannot read the tables of other stages"),
        ("{x: {lookup: {table: ^{a: 1}, key: text}}}", "row 'a': expected string, got 1"),
        ("{x: {lookup: {table: {a: b}, key: ^price}}}", "'price' is double; a key is"),
        ("{x: {each: ^items}}", "'x' is string, no array"),
        ("{x: {each: ^text}}", "'text' is string, no array"),
        ("{x: {from: ^address, fields: {city: {from: city}}}}", "'x' is string, no record"),
    ],
)
def test_a_mistake_is_found_at_its_place(fields: str, said: str) -> None:
    column = len("  fields: ") + fields.index("^") + 1
    findings = compiled({"x": "string"}, fields.replace("^", "")).findings
    assert [each.column for each in findings if each.line == 5 and said in each.message] == [column]


def test_fields_that_the_contract_fills_need_no_mapping() -> None:
    target = {
        "x": "string",
        "note": (["null", "string"], None),
        "amount": (MONEY, "\x00"),
        "lines": (list_of("int"), []),
    }
    mapping = compiled(target, "{x: {from: text}}")
    assert mapping.findings == ()
    assert mapping.convert(PAYLOAD) == {"x": "a,b", "note": None, "amount": Decimal(0), "lines": []}
    mapping.convert(PAYLOAD)["lines"].append(1)
    assert mapping.convert(PAYLOAD)["lines"] == []


def test_a_mistake_in_a_list_names_the_item() -> None:
    lines = list_of(record_of("L", {"q": "int"}))
    with pytest.raises(Misfit) as caught:
        made(lines, "{each: items, fields: {q: {from: qty, cast: int}}}", {"items": [{"qty": "1"}, {"qty": "x"}]})
    assert caught.value.line() == 'x[1].q: expected int as text, got "x"'


def drawing(data: st.DataObject) -> st.DrawFn:
    draw: Any = data.draw  # it takes what a composite's draw does
    return draw  # type: ignore[no-any-return]


LEAVES: list[Any] = [
    "boolean", "int", "long", "float", "double", "string", "bytes",
    MONEY, {**MONEY, "precision": 6}, {**MONEY, "scale": 0},
    INSTANT, {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "int", "logicalType": "date"}, {"type": "int", "logicalType": "time-millis"},
    {"type": "string", "logicalType": "uuid"}, COLOUR, {**COLOUR, "symbols": ["red"]},
]  # fmt: skip
TEXTS = st.sampled_from(["1", "-0.5", "1e3", "1e400", "", "true", "2027-01-15", "red", "NaN", "99999999999", "12.345"])


def value(draw: st.DrawFn, schema: Any) -> Any:
    kind = AvroType(schema, {}).word
    if kind == "string" and draw(st.booleans()):
        return draw(TEXTS)
    if kind == "decimal":
        digits = schema["precision"]
        return Decimal(draw(st.integers(1 - 10**digits, 10**digits - 1))).scaleb(-schema["scale"])
    return value_of(draw, schema, {})


def assert_valid(schema: Any, converted: Any) -> None:
    assert compile_type(schema, compile_python_leaf)(converted) == converted


@given(st.data(), st.sampled_from(sorted(RESULTS)), st.sampled_from(LEAVES), st.sampled_from(LEAVES))
@settings(max_examples=250, suppress_health_check=[HealthCheck.filter_too_much])
def test_a_cast_makes_valid_values_or_says_why_not(data: st.DataObject, cast: str, source: Any, target: Any) -> None:
    try:
        convert = compile_cast(cast, AvroType(source, {}), AvroType(target, {}))
    except Unassignable:
        return
    given_value = value(drawing(data), source)
    try:
        converted = convert(given_value)
    except Misfit:
        assert cast != "string"
        return
    assert_valid(target, converted)


@given(st.data(), st.sampled_from(LEAVES), st.sampled_from(LEAVES), st.tuples(st.booleans(), st.booleans()))
@settings(max_examples=250)
def test_what_is_taken_over_as_it_is_is_valid(
    data: st.DataObject, source: Any, target: Any, nulls: tuple[bool, bool]
) -> None:
    from_null, to_null = nulls
    start, end = ["null", source] if from_null else source, ["null", target] if to_null else target
    try:
        convert = compile_copy(AvroType(start, {}), AvroType(end, {}))
    except Unassignable:
        return
    given_value = value(drawing(data), source) if not from_null or data.draw(st.booleans()) else None
    assert_valid(end, given_value if convert is None else convert(given_value))


WIDER = {"int": ["int", "long", "double"], "long": ["long", "float"], "float": ["float", "double"]}


def widened(draw: st.DrawFn, schema: Any) -> Any:
    """A schema that takes over all values of another: wider numbers, fewer fields, one more with a default."""
    if isinstance(schema, list):
        return [schema[0], *[widened(draw, branch) for branch in schema[1:]]]
    if isinstance(schema, str):
        return draw(st.sampled_from(WIDER.get(schema, [schema])))
    if schema["type"] == "record":
        kept = [each for each in schema["fields"] if each["name"] in {"a", "again"} or draw(st.booleans())]
        fields = [{**each, "type": widened(draw, each["type"])} for each in kept]
        more = [{"name": "new", "type": ["null", "string"], "default": None}] if draw(st.booleans()) else []
        return {**schema, "fields": [*fields, *more]}
    for key in ("items", "values"):
        if key in schema:
            return {**schema, key: widened(draw, schema[key])}
    return schema


@given(st.data(), schemas())
@settings(max_examples=80)
def test_a_record_is_taken_over_whole_into_a_wider_one(data: st.DataObject, schema: Any) -> None:
    source = contract_from(schema)
    target = contract_from(widened(drawing(data), source.schema))
    try:
        convert = compile_copy(AvroType.of(source), AvroType.of(target))
    except Unassignable:
        if "again" not in str(schema):  # a record that refers to itself is taken over as it is, or not
            raise
        return
    payload = value_of(drawing(data), source.schema, named_types(source.schema))
    compile_python_check(target)(payload if convert is None else convert(payload))


PATHS = st.sampled_from([*SOURCE, "address.city", "address.zip", "items[0].code", "items[1].tags[0]", "labels.x"])
SCALARS: dict[str, Any] = {"string": "none", "int": 7, "long": 7, "float": 7, "double": Decimal("0.5"), "decimal": 7}
SOURCE_TYPE = AvroType.of(contract_from(record_of("source", SOURCE)))


def takers(found: AvroType, cast: Any) -> list[Any]:
    """Leaves that take values of a type, cast or as they are."""
    taking = []
    for leaf in LEAVES:
        try:
            compile_cast(cast, found, AvroType(leaf, {})) if cast else compile_copy(found, AvroType(leaf, {}))
        except Unassignable:
            continue
        taking.append(leaf)
    return taking


@st.composite
def leaf_fields(draw: st.DrawFn) -> tuple[FieldMapping, Any]:
    """A field that is one value of the source, and the type that it may have."""
    path = draw(PATHS)
    cast: Any = draw(st.none() | st.sampled_from(sorted(RESULTS)))
    found = SOURCE_TYPE.at(parse_path(path))
    taking = takers(found[0], cast) if found else []
    assume(taking)
    kind = draw(st.sampled_from(taking))
    default = SCALARS.get(AvroType(kind, {}).word) if draw(st.booleans()) else None
    field = FieldMapping(name="x", from_=path, cast=cast, default=default)
    return field, kind if default is not None else ["null", kind]


@st.composite
def text_fields(draw: st.DrawFn) -> tuple[FieldMapping, Any]:
    """A text that is put together, cut, or looked up."""
    by, part = draw(st.sampled_from([",", "a"])), draw(st.none() | st.integers(0, 2))
    parts = draw(
        st.lists(st.sampled_from(["text", "maybe", "money", "at", "flag", "address.zip", "100% "]), min_size=1)
    )
    table = {draw(st.sampled_from(["red", "green", "7", "true"])): "found"}
    key = draw(st.sampled_from(["text", "colour", "number", "maybe", "flag", "address.zip"]))
    return draw(
        st.sampled_from(
            [
                (FieldMapping(name="x", concat=tuple(parts)), "string"),
                (
                    FieldMapping(name="x", split=Split(from_="text", by=by, part=part), default=None),
                    {"type": "array", "items": "string"} if part is None else ["null", "string"],
                ),
                (FieldMapping(name="x", split=Split(from_="maybe", by=by, part=part or 0), default="none"), "string"),
                (FieldMapping(name="x", lookup=TableLookup(table=table, key=key), default="none"), "string"),
                (FieldMapping(name="x", lookup=TableLookup(table=table, key=key)), ["null", "string"]),
            ]
        )
    )


@st.composite
def list_fields(draw: st.DrawFn) -> tuple[FieldMapping, Any]:
    """A list of records, of which each has a field that is cast or taken over, or a list of texts."""
    leaf = draw(st.sampled_from(["int", "long", "double", MONEY, "boolean", COLOUR]))
    cast: Any = AvroType(leaf, {}).word
    inner = {"code": FieldMapping(name="code", from_="code"), "q": FieldMapping(name="q", from_="qty", cast=cast)}
    lines = list_of(record_of("L", {"code": "string", "q": leaf}))
    texts = ["null", {"type": "array", "items": leaf}]
    return draw(
        st.sampled_from(
            [
                (FieldMapping(name="x", each="items", fields=inner), lines),
                (FieldMapping(name="x", each="few", cast=cast), texts),
                (FieldMapping(name="x", from_="address"), record_of("A", {"city": "string"})),
                (FieldMapping(name="x", from_="labels"), {"type": "map", "values": "string"}),
            ]
        )
    )


def may_fail(field: FieldMapping) -> bool:
    """Whether the author asked for what a message may not allow."""
    below = (field.fields or {}).values()
    casts = field.cast is not None and field.cast != "string"
    return casts or (field.lookup is not None and field.default is None) or any(map(may_fail, below))


@given(st.data(), st.one_of(leaf_fields(), text_fields(), list_fields()))
@settings(max_examples=250, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_a_clean_mapping_makes_a_valid_payload_of_every_valid_one(
    data: st.DataObject, made_field: tuple[FieldMapping, Any]
) -> None:
    field, kind = made_field
    source, target = contract_from(record_of("source", SOURCE)), contract_from(record_of("target", {"x": kind}))
    mapping = compile_mapping(ConversionMapping(from_="source", to="target", fields={"x": field}), source, target)
    assert mapping.findings == ()
    payload = value_of(drawing(data), source.schema, named_types(source.schema))
    try:
        converted = mapping.convert(payload)
    except Misfit:
        assert may_fail(field)
        return
    assert compile_python_check(target)(converted) == converted
