"""JSON to the values of whole Avro types, field by field; json_values.py says what JSON looks like.

With another compiler of leaves (python_values.py) the same walk checks values that are Python's already.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from streams.messages.avsc import Schema, kind_of, named_types
from streams.messages.defaults import default_value
from streams.messages.json_leaves import CompileLeaf, Convert, Misfit, compile_leaf, misfit
from streams.messages.logical import logical_type
from streams.messages.tagged import is_tagged

_ABSENT = object()


def compile_type(schema: Schema, leaf: CompileLeaf = compile_leaf, *, others_pass: bool = False) -> Convert:
    """A function from parsed JSON to the value of a normalised schema; it raises Misfit.

    Args:
        schema: normalised.
        leaf: compiler of the types that are no records, arrays, maps or unions.
        others_pass: leave out fields that the schema does not have, instead of refusing them.
    """
    return _Compiler(schema, leaf, others_pass=others_pass).compile(schema)


class _Compiler:
    def __init__(self, schema: Schema, leaf: CompileLeaf, *, others_pass: bool) -> None:
        self._types = named_types(schema)
        self._leaf = leaf
        self._others_pass = others_pass
        self._records: dict[str, Convert] = {}

    def compile(self, schema: Schema) -> Convert:
        if isinstance(schema, str) and schema in self._types:
            schema = self._types[schema]
        kind = kind_of(schema)
        if kind in {"record", "error"}:
            return self._record(schema)
        if kind == "union":
            return self._union(schema)
        if kind == "array":
            return _array(self.compile(schema["items"]))
        return _map(self.compile(schema["values"])) if kind == "map" else self._leaf(schema)

    def _record(self, schema: Mapping[str, Any]) -> Convert:
        name = schema["name"]
        if name in self._records:
            return self._records[name]
        finished: list[Convert] = []

        def inside_itself(value: Any) -> Any:
            return finished[0](value)

        self._records[name] = inside_itself
        fields = [(each["name"], self._field(each), self._absent(each)) for each in schema["fields"]]
        known = frozenset(field for field, _, _ in fields)
        others_pass = self._others_pass
        short = name.rpartition(".")[2]

        def convert(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise misfit(f"record {short}", value)
            result = {}
            given_fields = len(fields)
            field = ""
            try:
                for field, convert_field, absent in fields:
                    given = value.get(field, _ABSENT)
                    if given is _ABSENT:
                        result[field] = absent()
                        given_fields -= 1
                    else:
                        result[field] = convert_field(given)
            except Misfit as error:
                error.path.append(field)
                raise
            if len(value) > given_fields and not others_pass:
                raise _unknown_field(value, known, short)
            return result

        finished.append(convert)
        self._records[name] = convert
        return convert

    def _field(self, field: Mapping[str, Any]) -> Convert:
        convert = self.compile(field["type"])
        return _discreet(convert) if is_tagged(field) else convert

    def _absent(self, field: Mapping[str, Any]) -> Callable[[], object]:
        """What fills a field that is not there: its default, or null where it may be null."""
        if "default" in field:
            make, types = default_value, self._types
            value = make(field["type"], field["default"], types)
            if isinstance(value, list | dict):  # made anew, for whoever gets it may change it
                return lambda: make(field["type"], field["default"], types)
            return lambda: value
        nullable = field["type"] == "null" or (isinstance(field["type"], list) and "null" in field["type"])
        return _fill_null if nullable else _refuse_absence

    def _union(self, branches: list[Schema]) -> Convert:
        nullable = any(kind_of(branch) == "null" for branch in branches)
        others = [self.compile(branch) for branch in branches if kind_of(branch) != "null"]
        names = " or ".join(_title(branch) for branch in branches)

        def convert(value: Any) -> Any:
            if value is None and nullable:
                return None
            if len(others) == 1:
                return others[0](value)
            for each in others:
                try:
                    return each(value)
                except Misfit:
                    continue
            raise misfit(names, value)

        return convert


def _discreet(convert: Convert) -> Convert:
    """`convert`, whose errors do not repeat a value: what the field's tag protects ends up in no log."""

    def convert_quietly(value: Any) -> Any:
        try:
            return convert(value)
        except Misfit as error:
            quiet = Misfit(f"{error.message.partition(', got ')[0]}, got something else (tagged, so not shown)")
            quiet.path = error.path
            raise quiet from None

    return convert_quietly


def _fill_null() -> None:
    return None


def _refuse_absence() -> NoReturn:
    raise Misfit("missing; the contract requires it")


def _unknown_field(value: Mapping[str, Any], known: frozenset[str], record: str) -> Misfit:
    unknown = min(map(str, value.keys() - known))
    error = Misfit(f"unknown field; {record} has {', '.join(sorted(known)) or 'none'}")
    error.path.append(unknown)
    return error


def _title(schema: Schema) -> str:
    logical = logical_type(schema)
    if logical:
        return logical
    return str(schema["name"]).rpartition(".")[2] if isinstance(schema, dict) and "name" in schema else kind_of(schema)


def _array(convert_item: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise misfit("array", value)
        result: list[Any] = []
        try:
            for item in value:
                result.append(convert_item(item))  # noqa: PERF401 its length is the position of a mistake
        except Misfit as error:
            error.path.append(len(result))
            raise
        return result

    return convert


def _map(convert_value: Convert) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise misfit("map", value)
        result = {}
        for key, below in value.items():
            try:
                result[key] = convert_value(below)
            except Misfit as error:
                error.path.append(key)
                raise
        return result

    return convert
