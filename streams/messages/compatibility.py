"""Whether a contract can read what an older version wrote (backward compatibility), by Avro's resolution rules.

Each incompatibility is one line that begins with the field: `order.lines[].quantity: ...`. Avro 1.12, "Schema
Resolution"; stricter where a reader could only fail later: every enum symbol must be known, every branch of a
writer's union too, and bytes are no text.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.messages.avsc import Schema, kind_of, named_types
from streams.messages.contracts import Contract
from streams.messages.registry import Registered

_PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
}  # Avro also promotes bytes to string, but bytes that are no UTF-8 could then not be read


def incompatibilities(reader: Schema, writer: Schema) -> list[str]:
    """Why `reader` cannot read values of `writer` (both normalised records); empty when it can."""
    comparison = _Comparison(named_types(reader), named_types(writer))
    return list(dict.fromkeys(comparison.compare(reader, writer, _short(reader["name"]))))


def incompatibilities_with_all(contract: Contract, registered: Iterable[Registered]) -> list[str]:
    """Why a contract may not be registered: what it cannot read of each version of its subject."""
    return [
        f"{line} (version {each.version})"
        for each in registered
        if each.subject == contract.subject
        for line in incompatibilities(contract.schema, each.schema)
    ]


@dataclass
class _Comparison:
    reader_types: Mapping[str, Mapping[str, Any]]
    writer_types: Mapping[str, Mapping[str, Any]]
    seen: set[tuple[str, str]] = field(default_factory=set)  # pairs of named types: recursion ends

    def compare(self, reader: Schema, writer: Schema, where: str) -> Iterator[str]:
        reader = self.reader_types.get(reader, reader) if isinstance(reader, str) else reader
        writer = self.writer_types.get(writer, writer) if isinstance(writer, str) else writer
        if isinstance(writer, list):
            for branch in writer:
                yield from self._branch(reader, branch, where)
        elif isinstance(reader, list):
            yield from self._into_union(reader, writer, where)
        else:
            yield from self._single(reader, writer, where)

    def _branch(self, reader: Schema, branch: Schema, where: str) -> Iterator[str]:
        if isinstance(reader, list) or kind_of(branch) != "null":
            yield from self.compare(reader, branch, where)
        elif kind_of(reader) != "null":
            yield f"{where}: it could be null; it is now {described(reader)}; keep null in its union"

    def _into_union(self, reader: list[Schema], writer: Schema, where: str) -> Iterator[str]:
        attempts = [list(self.compare(branch, writer, where)) for branch in reader]
        if not all(attempts):
            return  # a branch takes it
        alike = [n for n, branch in enumerate(reader) if kind_of(self._reader(branch)) == kind_of(writer)]
        if len(alike) == 1:
            yield from attempts[alike[0]]
        else:
            yield f"{where}: type {described(writer)} is no longer in its union; keep it"

    def _reader(self, schema: Schema) -> Schema:
        return self.reader_types.get(schema, schema) if isinstance(schema, str) else schema

    def _single(self, reader: Schema, writer: Schema, where: str) -> Iterator[str]:
        kind, written = kind_of(reader), kind_of(writer)
        if kind != written:
            if kind not in _PROMOTIONS.get(written, ()) or _logical_form(reader) or _logical_form(writer):
                what = f"type {described(writer)} cannot be read as {described(reader)}"
                yield f"{where}: {what}; add a new field instead"
            return
        yield from _logical(reader, writer, where)
        if kind == "array":
            yield from self.compare(reader["items"], writer["items"], f"{where}[]")
        elif kind == "map":
            yield from self.compare(reader["values"], writer["values"], f"{where}{{}}")
        elif kind in {"record", "error", "enum", "fixed"}:
            yield from self._named(reader, writer, where)

    def _named(self, reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
        pair = (reader["name"], writer["name"])
        if pair in self.seen:
            return
        if not _same_name(reader, writer):
            yield f"{where}: type {writer['name']} is now {reader['name']}; list the old name in its `aliases`"
            return
        self.seen.add(pair)
        found = list(_BODIES[reader["type"]](self, reader, writer, where))
        yield from found
        if found:
            self.seen.discard(pair)  # to be reported wherever else it stands

    def _size(self, reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
        if reader["size"] != writer["size"]:
            yield f"{where}: fixed of {writer['size']} bytes is now of {reader['size']}; the size may not change"

    def _symbols(self, reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
        lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
        if lost and reader.get("default") not in reader["symbols"]:
            yield f"{where}: enum symbol {', '.join(lost)} is gone; keep it or give the enum a default"

    def _fields(self, reader: Mapping[str, Any], writer: Mapping[str, Any], where: str) -> Iterator[str]:
        written = {each["name"]: each for each in writer["fields"]}
        for each in reader["fields"]:
            place = f"{where}.{each['name']}"
            names = (each["name"], *each.get("aliases", ()))
            old = next((written[name] for name in names if name in written), None)
            if old is not None:
                yield from self.compare(each["type"], old["type"], place)
            elif "default" not in each:
                yield f"{place}: new field without a default; older messages lack it, give it a default"


_BODIES = {
    "record": _Comparison._fields,
    "error": _Comparison._fields,
    "enum": _Comparison._symbols,  # noqa: SLF001 of this module
    "fixed": _Comparison._size,  # noqa: SLF001 of this module
}


def _logical(reader: Schema, writer: Schema, where: str) -> Iterator[str]:
    new, old = _logical_form(reader), _logical_form(writer)
    if new != old:
        yield f"{where}: {described(writer)} is now {described(reader)}; the same bytes would mean another value"


def _logical_form(schema: Schema) -> tuple[Any, ...]:
    """What gives bytes their meaning: the logical type, of a decimal the scale and the precision."""
    if not isinstance(schema, Mapping) or "logicalType" not in schema:
        return ()
    if _is_decimal(schema):
        return "decimal", schema["precision"], schema.get("scale", 0)
    return (schema["logicalType"],)


def _is_decimal(schema: Schema) -> bool:
    return isinstance(schema, Mapping) and schema.get("logicalType") == "decimal"


def _same_name(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> bool:
    """Unqualified names must be equal, or the old name (either form) be an alias of the new."""
    old, new, aliases = writer["name"], reader["name"], reader.get("aliases", ())
    return _short(old) == _short(new) or old in aliases or _short(old) in aliases


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def described(schema: Schema) -> str:
    """A type as errors name it: `decimal(12,2)`, `[null, string]`, `record line`."""
    if isinstance(schema, list):
        return "[" + ", ".join(map(described, schema)) + "]"
    if not isinstance(schema, Mapping):
        return str(schema)
    if _is_decimal(schema):
        return f"decimal({schema['precision']},{schema.get('scale', 0)})"
    logical = schema.get("logicalType")
    if logical:
        return f"{schema['type']} ({logical})"
    return f"{schema['type']} {schema['name']}" if "name" in schema else str(schema["type"])
