"""Values of one type as values of another without a word from anybody: what can be taken over as it is, and how.

Only what loses nothing: a wider number, an enum as text, a record with fewer fields. Everything else needs a cast or
a mapping, and is refused here with what was expected and what came.
"""

from collections.abc import Callable
from typing import Any

from streams.messages.defaults import default_value
from streams.messages.json_leaves import Convert, Misfit
from streams.transforming.avro_types import AvroType

_WIDER_NUMBERS = {"int": {"long", "float", "double"}, "long": {"float", "double"}, "float": {"double"}}
_AS_THEY_ARE = frozenset(
    {
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "string",
        "bytes",
        "date",
        "local timestamp",
        "timestamp",
        "uuid",
        "time",
    }
)
Fill = Callable[[], object]


class Unassignable(Exception):
    """Values of the one type are not values of the other; the message names both."""


def compile_copy(source: AvroType, target: AvroType) -> Convert | None:
    """A function that turns a value of `source` into one of `target`; None where it is one already.

    Raises:
        Unassignable: some values of `source` would be none of `target`.
    """
    return _Copying().copy(source, target)


def absence(target: AvroType, name: str) -> Fill | None:
    """What fills a record's field that nobody gives: its default, or null where it may be null; None: nothing does."""
    field = next(each for each in target.schema["fields"] if each["name"] == name)
    if "default" in field:
        make = default_value
        value = make(field["type"], field["default"], target.types)
        if isinstance(value, list | dict):  # made anew, for whoever gets it may change it
            return lambda: make(field["type"], field["default"], target.types)
        return lambda: value
    return _null if target.fields[name].nullable else None


def each_of(convert: Convert) -> Convert:
    """`convert` for every item of a list; its mistakes name the item."""

    def convert_all(items: Any) -> list[Any]:
        result: list[Any] = []
        try:
            for item in items:
                result.append(convert(item))  # noqa: PERF401 its length is the position of a mistake
        except Misfit as error:
            error.path.append(len(result))
            raise
        return result

    return convert_all


def unless_null(convert: Convert) -> Convert:
    """`convert`, but null stays null."""
    return lambda value: None if value is None else convert(value)


def _null() -> None:
    return None


class _Copying:
    """One comparison of two types; a pair of records that is being compared counts as equal inside itself."""

    def __init__(self) -> None:
        self._around: list[tuple[str, str]] = []
        self._again: set[tuple[str, str]] = set()

    def copy(self, source: AvroType, target: AvroType) -> Convert | None:
        if source.nullable and not target.nullable:
            raise Unassignable(f"{source.title} may be null, {target.title} may not")
        ways = [self._into_some_branch(branch, target) for branch in source.branches]
        if not any(ways):
            return None
        if len(ways) > 1:
            raise Unassignable(f"{source.title} has several types, of which some would need a cast")
        return unless_null(ways[0]) if source.nullable and ways[0] else ways[0]

    def _into_some_branch(self, source: AvroType, target: AvroType) -> Convert | None:
        mistakes = []
        # A branch that takes the value as it is goes before one that would have to widen it.
        ways: list[Convert] = []
        for branch in target.branches:
            try:
                way = self._single(source, branch)
            except Unassignable as mistake:
                mistakes.append(mistake)
            else:
                if way is None:
                    return None
                ways.append(way)
        if ways:
            return ways[0]
        if len(mistakes) == 1:
            raise mistakes[0]
        raise Unassignable(f"{source.title} is no {target.title}")

    def _single(self, source: AvroType, target: AvroType) -> Convert | None:
        refusal = Unassignable(f"{source.title} is no {target.title}")
        if source.word != target.word:
            if target.word in _WIDER_NUMBERS.get(source.word, ()):
                return None if target.word == "long" or source.word == "float" else float
            if (source.word, target.word) == ("enum", "string"):
                return None
            raise refusal
        if source.word in _COMPOUNDS:
            return _COMPOUNDS[source.word](self, source, target)
        if not _holds(source, target):
            raise refusal
        return None

    def _array(self, source: AvroType, target: AvroType) -> Convert | None:
        item = self.copy(source.items, target.items)
        return each_of(item) if item else None

    def _map(self, source: AvroType, target: AvroType) -> Convert | None:
        value = self.copy(source.items, target.items)
        return (lambda mapping: {key: value(each) for key, each in mapping.items()}) if value else None

    def _record(self, source: AvroType, target: AvroType) -> Convert | None:
        pair = (source.schema["name"], target.schema["name"])
        if pair in self._around:
            self._again.add(pair)
            return None
        self._around.append(pair)
        fields = [(name, *self._field(source, target, name)) for name in target.fields]
        self._around.pop()
        if source.fields.keys() == target.fields.keys() and not any(way for _, _, way in fields):
            return None
        if pair in self._again:
            raise Unassignable(f"{source.title} refers to itself, and differs from {target.title}")

        def convert(record: Any) -> dict[str, Any]:
            return {
                name: (fill() if fill else way(record[name]) if way else record[name]) for name, fill, way in fields
            }

        return convert

    def _field(self, source: AvroType, target: AvroType, name: str) -> tuple[Fill | None, Convert | None]:
        """What fills the field where the source has none of that name, else how its value is taken over."""
        if name in source.fields:
            try:
                return None, self.copy(source.fields[name], target.fields[name])
            except Unassignable as mistake:
                raise Unassignable(f"{name}: {mistake}") from None
        fill = absence(target, name)
        if fill is None:
            raise Unassignable(f"{source.title} has no {name}, which {target.title} requires")
        return fill, None


_COMPOUNDS: dict[str, Callable[[_Copying, AvroType, AvroType], Convert | None]] = {
    "array": _Copying._array,  # noqa: SLF001 of this module
    "map": _Copying._map,  # noqa: SLF001 of this module
    "record": _Copying._record,  # noqa: SLF001 of this module
}


def _holds(source: AvroType, target: AvroType) -> bool:
    """Whether every value of a leaf is one of another leaf of the same kind."""
    mine, theirs = source.schema, target.schema
    if source.word == "enum":
        return set(mine["symbols"]) <= set(theirs["symbols"])
    if source.word == "decimal":
        return _decimal_holds(mine, theirs)
    if source.word == "fixed":
        return bool(mine["size"] == theirs["size"])
    if source.word in {"timestamp", "local timestamp", "time"}:
        return _unit(theirs) == "micros" or _unit(mine) == "millis"
    return source.word in _AS_THEY_ARE


def _decimal_holds(mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    scale, other_scale = mine.get("scale", 0), theirs.get("scale", 0)
    if theirs["type"] == "fixed" and mine != theirs:
        return False  # it may hold fewer digits than its precision says
    return bool(other_scale >= scale and theirs["precision"] - other_scale >= mine["precision"] - scale)


def _unit(schema: dict[str, Any]) -> str:
    return str(schema["logicalType"]).rpartition("-")[2]
