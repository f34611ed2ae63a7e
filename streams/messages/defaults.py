"""Defaults of fields: JSON in the schema, the values of Python in a payload (a decimal is no string of bytes).

fastavro hands out a default as it stands in the schema, so schemas that we read with get theirs converted first.
"""

import copy
from collections.abc import Mapping
from typing import Any

from streams.messages.avsc import Schema, SchemaMistake, kind_of, named_types
from streams.messages.logical import logical_reader

Types = Mapping[str, Mapping[str, Any]]
_WHOLE_NUMBERS = {"int": 2**31, "long": 2**63}


class _Misfit(Exception):
    """A default that is not of its type; the message says what was expected."""


def default_value(schema: Schema, default: object, types: Types) -> object:
    """Python value of a field's default.

    Raises:
        SchemaMistake: it does not fit the type.
    """
    try:
        return _value(schema, default, types)
    except _Misfit as misfit:
        raise SchemaMistake(str(misfit)) from None


def check_defaults(schema: Schema) -> None:
    """Refuse defaults that a reader could not use.

    Raises:
        SchemaMistake: naming type and field.
    """
    types = named_types(schema)
    for name, each in types.items():
        for field in each.get("fields", ()):
            if "default" in field:
                try:
                    _value(field["type"], field["default"], types)
                except _Misfit as misfit:
                    raise SchemaMistake(f"{name}.{field['name']}: default: {misfit}") from None


def with_python_defaults(parsed: Schema) -> Schema:
    """A copy of a fastavro-parsed schema whose defaults are Python values; only for reading."""
    changed = copy.deepcopy(parsed)
    types = named_types(parsed)
    for each in [*named_types(changed).values(), *changed.get("__named_schemas", {}).values()]:
        for field in each.get("fields", ()):
            if "default" in field and not field.get("__python_default"):
                field["default"] = _value(field["type"], field["default"], types)
                field["__python_default"] = True  # parsed copies may share one field
    return changed


def _value(schema: Schema, default: object, types: Types) -> object:
    if isinstance(schema, str) and schema in types:
        schema = types[schema]
    kind = kind_of(schema)
    if kind == "union":
        return _of_union(schema, default, types)
    value = _PLAIN[kind](schema, default, types)
    finish = logical_reader(schema)
    try:
        return finish(value, schema, None) if finish else value
    except (ValueError, ArithmeticError, TypeError):
        raise _Misfit(f"{default!r} is no {schema['logicalType']}") from None


def _of_union(schema: list[Schema], default: object, types: Types) -> object:
    for branch in schema:
        try:
            return _value(branch, default, types)
        except _Misfit:
            continue
    raise _Misfit(f"{default!r} is of no branch of the union")


def _refuse(kind: str, default: object) -> _Misfit:
    return _Misfit(f"expected {kind}, got {default!r}")


def _null(_schema: Schema, default: object, _types: Types) -> None:
    if default is not None:
        raise _refuse("null", default)


def _boolean(_schema: Schema, default: object, _types: Types) -> bool:
    if not isinstance(default, bool):
        raise _refuse("boolean", default)
    return default


def _whole(schema: Schema, default: object, _types: Types) -> int:
    kind = kind_of(schema)
    if (
        not isinstance(default, int)
        or isinstance(default, bool)
        or not -_WHOLE_NUMBERS[kind] <= default < _WHOLE_NUMBERS[kind]
    ):
        raise _refuse(kind, default)
    return default


def _float(schema: Schema, default: object, _types: Types) -> float:
    if not isinstance(default, int | float) or isinstance(default, bool):
        raise _refuse(kind_of(schema), default)
    return float(default)


def _string(_schema: Schema, default: object, _types: Types) -> str:
    if not isinstance(default, str):
        raise _refuse("string", default)
    return default


def _bytes(schema: Schema, default: object, _types: Types) -> bytes:
    """Avro writes bytes in JSON as code points 0 to 255."""
    try:
        value = str(default).encode("latin-1") if isinstance(default, str) else None
    except UnicodeEncodeError:
        value = None
    size = schema.get("size") if isinstance(schema, Mapping) else None
    if value is None or (size is not None and len(value) != size):
        raise _refuse(f"{size} bytes" if size is not None else "bytes", default)
    return value


def _enum(schema: Schema, default: object, _types: Types) -> object:
    if default not in schema["symbols"]:
        raise _refuse(f"one of {', '.join(schema['symbols'])}", default)
    return default


def _array(schema: Schema, default: object, types: Types) -> list[object]:
    if not isinstance(default, list):
        raise _refuse("array", default)
    return [_value(schema["items"], item, types) for item in default]


def _map(schema: Schema, default: object, types: Types) -> dict[str, object]:
    if not isinstance(default, dict):
        raise _refuse("map", default)
    return {key: _value(schema["values"], value, types) for key, value in default.items()}


def _record(schema: Schema, default: object, types: Types) -> dict[str, object]:
    if not isinstance(default, dict):
        raise _refuse(f"record {schema['name']}", default)
    value = {}
    for field in schema["fields"]:
        name = field["name"]
        if name not in default and "default" not in field:
            raise _Misfit(f"field `{name}` is missing in {default!r}")
        value[name] = _value(field["type"], default.get(name, field.get("default")), types)
    return value


_PLAIN = {
    "null": _null,
    "boolean": _boolean,
    "int": _whole,
    "long": _whole,
    "float": _float,
    "double": _float,
    "string": _string,
    "bytes": _bytes,
    "fixed": _bytes,
    "enum": _enum,
    "array": _array,
    "map": _map,
    "record": _record,
}
