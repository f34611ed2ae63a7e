"""Avro schemas as the project compares and stores them: names absolute, references resolved, each self-contained.

Two texts of one schema (namespace spelled apart or in the name, keys in another order) become equal here, so that
"the same schema has one id" is a comparison. Pure: knows no files and no registry. Rules: Avro 1.12 specification.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Any  # JSON of an Avro schema: a name, a list (union) or an object

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
MAX_DEPTH = 200  # of the JSON: about 60 types inside each other
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SIMPLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SchemaMistake(Exception):
    """A schema that breaks a rule of Avro; the message names the place and the rule, in one line."""


@dataclass(frozen=True)
class Definition:
    """A named type, where it was found, and the namespace that its unqualified references mean."""

    schema: Mapping[str, Any]
    namespace: str
    origin: str


def full_name(schema: Mapping[str, Any], namespace: str) -> str:
    """Full name of a named type that stands inside `namespace`."""
    name = str(schema.get("name", ""))
    if "." in name:
        return name
    own = str(schema.get("namespace", namespace) or "")
    return f"{own}.{name}" if own else name


def is_name(text: str) -> bool:
    """Whether it could be a full name of a type: letters, digits and _, parts joined by dots."""
    return _NAME.fullmatch(text) is not None


def namespace_of(name: str) -> str:
    """Namespace of a full name; empty when it has none."""
    return name.rpartition(".")[0]


def definitions(schema: Schema, namespace: str = "", origin: str = "") -> Iterator[tuple[str, Definition]]:
    """Every named type that `schema` defines, by full name, in the order of the text."""
    if isinstance(schema, list):
        for branch in schema:
            yield from definitions(branch, namespace, origin)
    elif isinstance(schema, dict):
        if schema.get("type") in NAMED:
            name = full_name(schema, namespace)
            yield name, Definition(schema, namespace, origin)
            namespace = namespace_of(name)
        for below in _children(schema):
            yield from definitions(below, namespace, origin)


def _children(schema: Mapping[str, Any]) -> list[Schema]:
    fields = schema.get("fields")
    below = [f.get("type") for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []
    below += [schema[key] for key in ("items", "values") if key in schema]
    return [*below, schema["type"]] if isinstance(schema.get("type"), dict | list) else below


def named_types(schema: Schema) -> dict[str, Mapping[str, Any]]:
    """Named types of a normalised (or fastavro-parsed) schema by full name."""
    return {name: found.schema for name, found in definitions(schema)}


def kind_of(schema: Schema) -> str:
    """`union`, a primitive's or complex type's name, or the full name of a named type that is referred to."""
    if isinstance(schema, list):
        return "union"
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def identity(schema: Schema) -> str:
    """Text that two normalised schemas share exactly when they are the same schema."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


def normalise(schema: Schema, others: Mapping[str, Definition] | None = None) -> dict[str, Any]:
    """The record `schema`, checked, with absolute names and the types it borrows from `others` written into it.

    Raises:
        SchemaMistake: it is no record, breaks a rule, or refers to a type that nobody defines.
    """
    check_depth(schema)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        got = "a union" if isinstance(schema, list) else json.dumps(schema)[:60]
        raise SchemaMistake(f"expected a record at the top level, got {got}; a contract is one record")
    known = {**(others or {}), **dict(definitions(schema))}
    expanded: dict[str, Any] = _Expansion(known).expand(schema, "", full_name(schema, ""))
    return expanded


def check_depth(schema: Schema) -> None:
    """Refuse what only a recursion of our own would get through.

    Raises:
        SchemaMistake: the JSON is nested more than MAX_DEPTH deep.
    """
    level, depth = [schema], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise SchemaMistake(f"nested more than {MAX_DEPTH} deep; name the types and refer to them")
        level = [below for each in level for below in _contents(each) if isinstance(below, dict | list)]


def _contents(value: Schema) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


@dataclass
class _Expansion:
    """One walk over a schema; `done` are the named types already written out, which are then referred to."""

    known: Mapping[str, Definition]
    done: set[str] = field(default_factory=set)

    def expand(self, schema: Schema, namespace: str, where: str) -> Schema:
        if isinstance(schema, str):
            return schema if schema in PRIMITIVES else self._reference(schema, namespace, where)
        if isinstance(schema, list):
            return self._union(schema, namespace, where)
        if not isinstance(schema, dict) or "type" not in schema:
            raise SchemaMistake(f"{where}: expected a type, got {json.dumps(schema)[:60]}")
        if isinstance(schema["type"], dict | list):  # {"type": {"type": ...}} is the inner type
            return self.expand(schema["type"], namespace, where)
        return self._object(schema, namespace, where)

    def _object(self, schema: Mapping[str, Any], namespace: str, where: str) -> Schema:
        kind = schema["type"]
        if kind in NAMED:
            return self._named(schema, namespace, where)
        if kind in {"array", "map"}:
            return self._container(schema, namespace, where)
        if kind in PRIMITIVES:
            _check_decimal(schema, where)
            return kind if len(schema) == 1 else dict(schema)
        return self._reference(kind, namespace, where)

    def _reference(self, name: Any, namespace: str, where: str) -> Schema:
        name = name if isinstance(name, str) else json.dumps(name)
        wanted = name if "." in name or not namespace else f"{namespace}.{name}"
        if wanted in self.done:
            return wanted
        if wanted not in self.known:
            raise SchemaMistake(f"{where}: unknown type `{wanted}`; it is no Avro type and no contract defines it")
        found = self.known[wanted]
        return self._named(found.schema, found.namespace, where)

    def _union(self, schema: list[Schema], namespace: str, where: str) -> list[Schema]:
        branches = [self.expand(branch, namespace, where) for branch in schema]
        kinds = [_union_kind(branch) for branch in branches]
        if "union" in kinds:
            raise SchemaMistake(f"{where}: a union directly inside a union; write one union")
        if len(set(kinds)) != len(kinds) or not kinds:
            raise SchemaMistake(f"{where}: a union needs different types, got {', '.join(kinds) or 'none'}")
        return branches

    def _container(self, schema: Mapping[str, Any], namespace: str, where: str) -> dict[str, Any]:
        key, mark = ("items", "[]") if schema["type"] == "array" else ("values", "{}")
        if key not in schema:
            raise SchemaMistake(f"{where}: type {schema['type']} needs `{key}`")
        return {**schema, key: self.expand(schema[key], namespace, where + mark)}

    def _named(self, schema: Mapping[str, Any], namespace: str, where: str) -> dict[str, Any]:
        name = full_name(schema, namespace)
        if not _NAME.fullmatch(name):
            raise SchemaMistake(f"{where}: `{name}` is no Avro name (letters, digits and _, parts joined by dots)")
        if name in self.done:
            raise SchemaMistake(f"{where}: type `{name}` is defined twice")
        self.done.add(name)
        _check_named(schema, where)
        same = {key: value for key, value in schema.items() if key not in {"name", "namespace", "fields"}}
        if "." not in name and namespace:
            same["namespace"] = ""  # otherwise it would take that of the type around it
        expanded = {**same, "name": name}
        if "fields" in schema:
            expanded["fields"] = self._fields(schema["fields"], namespace_of(name), where)
        return expanded

    def _fields(self, fields: list[Any], namespace: str, where: str) -> list[dict[str, Any]]:
        expanded, seen = [], set()
        for each in fields:
            if not isinstance(each, dict) or not _SIMPLE_NAME.fullmatch(str(each.get("name", ""))):
                raise SchemaMistake(f"{where}: expected a field with a name, got {json.dumps(each)[:60]}")
            name, place = each["name"], f"{where}.{each['name']}"
            if name in seen:
                raise SchemaMistake(f"{place}: the field is defined twice")
            if "type" not in each:
                raise SchemaMistake(f"{place}: the field needs a `type`")
            seen.add(name)
            expanded.append({**each, "type": self.expand(each["type"], namespace, place)})
        return expanded


def _union_kind(branch: Schema) -> str:
    """What must differ between the branches of a union: the type, for named types the name."""
    kind = kind_of(branch)
    return str(branch["name"]) if isinstance(branch, dict) and kind in NAMED else kind


def _check_named(schema: Mapping[str, Any], where: str) -> None:
    kind = schema["type"]
    if kind == "fixed":
        if not isinstance(schema.get("size"), int) or schema["size"] < 0:
            raise SchemaMistake(f"{where}: a fixed needs a `size` in bytes, got {json.dumps(schema.get('size'))}")
        _check_decimal(schema, where)
    elif kind == "enum":
        symbols = schema.get("symbols")
        if not isinstance(symbols, list) or not all(_SIMPLE_NAME.fullmatch(str(symbol)) for symbol in symbols):
            raise SchemaMistake(f"{where}: an enum needs `symbols`, each of letters, digits and _")
        if len(set(symbols)) != len(symbols):
            raise SchemaMistake(f"{where}: the symbols of an enum must differ")
    elif not isinstance(schema.get("fields"), list):
        raise SchemaMistake(f"{where}: a record needs a list of `fields`")


def _check_decimal(schema: Mapping[str, Any], where: str) -> None:
    if schema.get("logicalType") != "decimal":
        return
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int) or not 0 <= scale <= precision or precision < 1:
        raise SchemaMistake(
            f"{where}: a decimal needs a `precision` of at least 1 and a `scale` from 0 to it, "
            f"got {json.dumps(precision)} and {json.dumps(scale)}"
        )
