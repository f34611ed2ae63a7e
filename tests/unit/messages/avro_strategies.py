"""Random Avro schemas, values of them and paths into them, for property tests."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
from hypothesis import strategies as st

from streams.messages.contracts import parse
from streams.messages.framing import frame

FIELDS = ("a", "b", "c", "d")
KEYS = ("x", "y", "z")
PRECISION, SCALE = 6, 2

_LEAVES: list[Any] = [
    "null",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "string",
    "bytes",
    {"type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": SCALE},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "string", "logicalType": "uuid"},
]


@dataclass
class _SchemaMaker:
    """Draws one schema; `names` keeps its named types apart."""

    draw: st.DrawFn
    names: Iterator[str] = field(default_factory=lambda: (f"T{number}" for number in range(10_000)))

    def record(self, levels: int) -> dict[str, Any]:
        name = next(self.names)
        count = self.draw(st.integers(1, len(FIELDS)))
        fields = [{"name": each, "type": self.any_type(levels - 1)} for each in FIELDS[:count]]
        if self.draw(st.booleans()):
            fields.append({"name": "again", "type": ["null", name]})
        return {"type": "record", "name": name, "fields": fields}

    def any_type(self, levels: int) -> Any:
        makers: list[Callable[[int], Any]] = [self.leaf, self.enum, self.fixed, self.fixed_decimal]
        if levels > 0:
            makers += [self.record, self.array, self.map, self.optional]
        return self.draw(st.sampled_from(makers))(levels)

    def leaf(self, _levels: int) -> Any:
        return self.draw(st.sampled_from(_LEAVES))

    def enum(self, _levels: int) -> Any:
        return {"type": "enum", "name": next(self.names), "symbols": ["ONE", "TWO", "THREE"]}

    def fixed(self, _levels: int) -> Any:
        return {"type": "fixed", "name": next(self.names), "size": self.draw(st.integers(0, 5))}

    def fixed_decimal(self, _levels: int) -> Any:
        logical = {"logicalType": "decimal", "precision": PRECISION, "scale": SCALE}
        return {"type": "fixed", "name": next(self.names), "size": 4, **logical}

    def array(self, levels: int) -> Any:
        return {"type": "array", "items": self.any_type(levels - 1)}

    def map(self, levels: int) -> Any:
        return {"type": "map", "values": self.any_type(levels - 1)}

    def optional(self, levels: int) -> Any:
        found = self.any_type(levels - 1)
        return ["null", "string" if isinstance(found, list) or found == "null" else found]


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A record, perhaps recursive, of everything that Avro has."""
    return _SchemaMaker(draw).record(3)


def _whole_seconds(years: tuple[int, int]) -> st.SearchStrategy[dt.datetime]:
    bounds = (dt.datetime(year, 1, 1) for year in years)  # noqa: DTZ001 the strategy adds the zone
    return st.datetimes(*bounds, timezones=st.just(dt.UTC)).map(lambda t: t.replace(microsecond=0))


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=90),
    "bytes": st.binary(max_size=90),
    "decimal": st.decimals(Decimal("-9999.99"), Decimal("9999.99"), places=SCALE),
    "timestamp-millis": _whole_seconds((1970, 2100)),
    "timestamp-micros": _whole_seconds((1970, 2100)),
    "date": st.dates(),
    "time-millis": st.times().map(lambda t: t.replace(microsecond=0)),
    "uuid": st.uuids(version=4).map(lambda u: uuid.UUID(str(u))),
}


def value_of(draw: st.DrawFn, schema: Any, types: dict[str, Any], depth: int = 0) -> Any:
    """A random value of a schema."""
    if isinstance(schema, str) and schema in types:
        schema = types[schema]
    if isinstance(schema, list):
        branch = schema[0] if depth > 8 else draw(st.sampled_from(schema))
        return value_of(draw, branch, types, depth + 1)
    kind = schema["type"] if isinstance(schema, dict) else schema
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    if kind == "record":
        return {f["name"]: value_of(draw, f["type"], types, depth + 1) for f in schema["fields"]}
    if kind in {"array", "map"}:
        size = 0 if depth > 8 else draw(st.integers(0, 3))
        below = schema["items"] if kind == "array" else schema["values"]
        values = [value_of(draw, below, types, depth + 1) for _ in range(size)]
        return values if kind == "array" else dict(zip(KEYS, values, strict=False))
    if kind == "enum":
        return draw(st.sampled_from(schema["symbols"]))
    if kind == "fixed" and logical is None:
        return draw(st.binary(min_size=schema["size"], max_size=schema["size"]))
    return draw(_VALUES[logical or kind])


@st.composite
def messages(draw: st.DrawFn) -> tuple[Any, Any, bytes]:
    """A parsed schema, a payload as fastavro decodes it, and its framed value."""
    schema = draw(schemas())
    parsed = parse(schema)
    payload = value_of(draw, parsed, parsed["__named_schemas"])
    stream = BytesIO()
    fastavro.schemaless_writer(stream, parsed, payload)
    decoded = fastavro.schemaless_reader(BytesIO(stream.getvalue()), parsed, None)
    return parsed, decoded, frame(1, stream.getvalue())


def paths(deepest: int = 4) -> st.SearchStrategy[str]:
    """Paths that may or may not lead somewhere in such schemas."""
    marks = st.lists(st.sampled_from(["", "", "[0]", "[1]", "[*]"]), max_size=1).map("".join)
    steps = st.tuples(st.sampled_from([*FIELDS, "again", *KEYS]), marks).map("".join)
    return st.lists(steps, min_size=1, max_size=deepest).map(".".join)


@st.composite
def paths_into(draw: st.DrawFn, schema: Any) -> str:
    """A path that follows the schema, so that most lead somewhere."""
    types = schema["__named_schemas"]
    path = ""
    for _ in range(8):
        if isinstance(schema, str) and schema in types:
            schema = types[schema]
        if isinstance(schema, list):
            schema = schema[-1]
        elif isinstance(schema, dict) and schema["type"] == "record" and schema["fields"]:
            field = draw(st.sampled_from(schema["fields"]))
            path += ("." if path else "") + field["name"]
            schema = field["type"]
        elif isinstance(schema, dict) and schema["type"] == "array":
            path += draw(st.sampled_from(["[0]", "[1]", "[*]"]))
            schema = schema["items"]
        elif isinstance(schema, dict) and schema["type"] == "map":
            path += "." + draw(st.sampled_from(KEYS))
            schema = schema["values"]
        else:
            break
    return path
