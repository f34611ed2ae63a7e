"""A declarative mapping, checked field by field against both contracts and compiled to functions, once.

A mapping without findings makes a payload of its target from every payload of its source, so what it makes need not be
checked again. It fails only where its author asked for what a message may not allow: a cast of text that spells no
number, a number that is too large, a lookup without the key. That is a Misfit, with the path of the target's field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from streams.messages.contracts import Contract
from streams.messages.json_leaves import Convert, Misfit
from streams.topology.findings import Finding
from streams.topology.integration import ConversionMapping, FieldMapping
from streams.topology.located import Located
from streams.transforming.avro_types import AvroType
from streams.transforming.casts import compile_cast
from streams.transforming.copying import Fill, Unassignable, absence, compile_copy, each_of, unless_null
from streams.transforming.mapping_values import (
    Found,
    Mistake,
    concatenated,
    constant_of,
    find,
    looked_up,
    split_up,
)

_WAYS = ("from", "constant", "concat", "split", "lookup", "each")
# Keys that mean nothing beside these ways.
_NOT_WITH = {
    "constant": ("default", "cast", "fields"),
    "concat": ("default", "fields"),
    "split": ("fields",),
    "lookup": ("cast", "fields"),
    "each": ("default",),
    "default": ("fields",),
}


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """What a mapping does to a payload, and what is wrong with it; only without findings may it be used."""

    convert: Convert
    findings: tuple[Finding, ...]


def compile_mapping(mapping: ConversionMapping, source: Contract, target: Contract) -> CompiledMapping:
    """Check and compile `mapping`, whose `from` and `to` are these contracts."""
    compiler = _Compiler()
    convert = compiler.record(mapping, mapping.fields, AvroType.of(source), AvroType.of(target))
    return CompiledMapping(convert, tuple(compiler.findings))


class _Compiler:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def record(self, owner: Located, fields: Mapping[str, FieldMapping], source: AvroType, target: AvroType) -> Convert:
        """A function that makes a record; `owner` is where its `fields` stand."""
        for name in fields.keys() - target.fields.keys():
            near = get_close_matches(name[:100], target.fields, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(target.fields) or 'none'}"
            self.findings.append(fields[name].finding(f"no field {name!r} in {target.title}; {remedy}"))
        makes: list[tuple[str, Convert]] = []
        for name, wanted in target.fields.items():
            if name in fields:
                makes += [(name, make) for make in self._reported(fields[name], source, wanted)]
                continue
            fill = absence(target, name)
            if fill is None:
                what = f"field {name!r} of {target.title} is not mapped; its contract requires it"
                self.findings.append(owner.finding(f"{what}; add `{name}: {{from: ...}}`", "fields"))
            else:
                makes.append((name, _filling(fill)))
        return _making(makes)

    def _reported(self, field: FieldMapping, source: AvroType, target: AvroType) -> list[Convert]:
        """The function that makes a field, or none and a finding."""
        try:
            return [self._field(field, source, target)]
        except Mistake as mistake:
            self.findings.append((mistake.owner or field).finding(mistake.message, mistake.key))
            return []

    def _field(self, field: FieldMapping, source: AvroType, target: AvroType) -> Convert:
        way = _way(field)
        if way == "constant" or (way == "default" and field.name not in source.fields):
            value = constant_of(_given(field.constant if way == "constant" else field.default), target, way)
            return lambda _payload: value
        if way == "each":
            return self._each(field, source, target)
        if way == "lookup":
            return _lookup(field, source, target)
        found = _found(field, way, source)
        return self._below(field, found, target) if field.fields else _fitted(field, found, target, way)

    def _below(self, field: FieldMapping, found: Found, target: AvroType) -> Convert:
        """A record out of a record, mapped field by field."""
        if field.cast is not None or field.default is not None:
            raise Mistake("fields: beside cast or default; a record has neither; keep one of them", "fields")
        convert = self._between(field, found, target, "from")
        return _null_handled(found, convert, target, field, "from")

    def _each(self, field: FieldMapping, source: AvroType, target: AvroType) -> Convert:
        found = find(source, _given(field.each), "each")
        wanted = target.without_null
        if found.type.word != "array" or wanted.word != "array":
            wrong, title = (
                (found.what, found.type.title) if found.type.word != "array" else (f"{field.name!r}", wanted.title)
            )
            raise Mistake(f"{wrong} is {title}, no array; each: makes a list out of a list", "each")
        item = Found(lambda value: value, found.type.items.without_null, found.type.items.nullable, "its items")
        if field.fields:
            if field.cast is not None:
                raise Mistake("cast beside fields; a record cannot be cast; keep one of them", "cast")
            convert = self._between(field, item, wanted.items, "each")
            convert = _null_handled(item, convert, wanted.items, field, "each")
        else:
            convert = _fitted(field, item, wanted.items, "each")
        return _null_handled(found, each_of(convert), target, field, "each")

    def _between(self, field: FieldMapping, found: Found, target: AvroType, key: str) -> Convert:
        wanted = target.without_null
        for what, each in ((found.what, found.type), (f"{field.name!r}", wanted)):
            if each.word != "record":
                raise Mistake(f"{what} is {each.title}, no record; `fields` are those of a record", key)
        return self.record(field, field.fields or {}, found.type, wanted)


def _way(field: FieldMapping) -> str:
    """The one key that says where the values come from."""
    given = {
        "from": field.from_,
        "constant": field.constant,
        "concat": field.concat,
        "split": field.split,
        "lookup": field.lookup,
        "each": field.each,
        "default": field.default,
        "cast": field.cast,
        "fields": field.fields,
    }
    present = {key for key, value in given.items() if value is not None}
    ways = [way for way in _WAYS if way in present] or [way for way in ("default",) if way in present]
    if len(ways) != 1:
        raise Mistake(f"not exactly one of {', '.join(_WAYS)} (or default alone); keep or add one")
    for other in _NOT_WITH.get(ways[0], ()):
        if other in present:
            raise Mistake(f"{other} beside {ways[0]}; it would mean nothing; remove one", other)
    return ways[0]


def _found(field: FieldMapping, way: str, source: AvroType) -> Found:
    if way == "concat":
        return concatenated(source, _given(field.concat))
    if way == "split":
        return split_up(source, _given(field.split))
    # `default` alone reads the source's field of the same name.
    return find(source, field.from_ or field.name, way)


def _given(value: Any) -> Any:
    """A key that `_way` found."""
    assert value is not None  # noqa: S101 what _way answered
    return value


def _lookup(field: FieldMapping, source: AvroType, target: AvroType) -> Convert:
    unknown = None
    if field.default is not None:
        value = constant_of(field.default, target, "default")
        unknown = lambda: value  # noqa: E731 None where there is no default
    found = looked_up(source, _given(field.lookup), target.without_null, unknown)
    return _null_handled(found, None, target, field, "lookup")


def _fitted(field: FieldMapping, found: Found, target: AvroType, key: str) -> Convert:
    """The found value as one of `target`: cast, taken over, and filled where it is null."""
    try:
        if field.cast:
            convert: Convert | None = compile_cast(field.cast, found.type, target)
        else:
            convert = compile_copy(found.type, target.without_null)
    except Unassignable as mistake:
        remedy = "correct the cast" if field.cast else _cast_that_helps(found.type, target)
        raise Mistake(f"{found.what}: {mistake}; {remedy}", "cast" if field.cast else key) from None
    return _null_handled(found, convert, target, field, key)


def _cast_that_helps(source: AvroType, target: AvroType) -> str:
    for branch in target.branches:
        cast = "timestamp" if branch.word == "local timestamp" else branch.word
        try:
            compile_cast(cast, source, target)
        except (KeyError, Unassignable):
            continue
        return f"add cast: {cast}"
    return "no cast does that; take another field, or write the converter in Python"


def _null_handled(found: Found, convert: Convert | None, target: AvroType, field: FieldMapping, key: str) -> Convert:
    read = found.read
    if field.default is not None:
        fill = constant_of(field.default, target, "default")
    elif found.may_be_null and not target.nullable:
        what = f"{found.what} may be null, {field.name!r} may not"
        raise Mistake(f"{what}; {'mend the contract' if field.each else 'add a default'}", key)
    else:
        fill = None
    if not found.may_be_null:
        return read if convert is None else lambda payload: convert(read(payload))
    if fill is None:
        return read if convert is None else _composed(read, unless_null(convert))

    def make(payload: Any) -> Any:
        value = read(payload)
        return fill if value is None else value if convert is None else convert(value)

    return make


def _composed(read: Convert, convert: Convert) -> Convert:
    return lambda payload: convert(read(payload))


def _filling(fill: Fill) -> Convert:
    return lambda _payload: fill()


def _making(makes: Sequence[tuple[str, Convert]]) -> Convert:
    def convert(payload: Any) -> dict[str, Any]:
        result = {}
        name = ""
        try:
            for name, make in makes:
                result[name] = make(payload)
        except Misfit as error:
            error.path.append(name)
            raise
        return result

    return convert
