"""Casts: a leaf of one type as a leaf of another, where the author of a mapping asks for it.

Exact or refused: a cast never rounds and never guesses. Which casts there are is known before anything runs; whether
a text spells a number is only seen in the message, and what does not is a Misfit.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from streams.messages.headers import format_time
from streams.messages.json_leaves import Convert, compile_leaf, misfit
from streams.messages.python_values import compile_python_leaf
from streams.transforming.avro_types import AvroType
from streams.transforming.copying import Unassignable

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
_BOOLEANS: Mapping[object, bool] = {"true": True, "false": False, 1: True, 0: False}
_WHOLE_WORDS = frozenset({"int", "long"})
_FLOATING = frozenset({"float", "double"})
_NUMBERS = _WHOLE_WORDS | _FLOATING | {"decimal"}

# What a cast gives: the kinds of field that take its result.
RESULTS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"string"}),
    "int": frozenset({"int", "long"}),
    "long": frozenset({"long"}),
    "float": frozenset({"float", "double"}),
    "double": frozenset({"double"}),
    "decimal": frozenset({"decimal"}),
    "boolean": frozenset({"boolean"}),
    "enum": frozenset({"enum"}),
    "uuid": frozenset({"uuid"}),
    "date": frozenset({"date"}),
    "time": frozenset({"time"}),
    "timestamp": frozenset({"timestamp", "local timestamp"}),
}
# Which kinds of value it takes.
_TAKES: Mapping[str, frozenset[str]] = {
    "string": _NUMBERS | {"string", "boolean", "enum", "uuid", "date", "time", "timestamp", "local timestamp"},
    **dict.fromkeys(("int", "long", "float", "double", "decimal"), _NUMBERS | {"string"}),
    "boolean": frozenset({"boolean", "string", "int", "long"}),
    "enum": frozenset({"enum", "string"}),
    "uuid": frozenset({"uuid", "string"}),
    "date": frozenset({"date", "string"}),
    "time": frozenset({"time", "string"}),
    "timestamp": frozenset({"string"}),
}


def compile_cast(cast: str, source: AvroType, target: AvroType) -> Convert:
    """A function that casts values of `source` to `target` (neither of them null), raising Misfit where one cannot be.

    Raises:
        Unassignable: there is no such cast, or the field does not take what it gives.
    """
    wanted = next((branch for branch in target.branches if branch.word in RESULTS[cast]), None)
    if wanted is None:
        raise Unassignable(f"cast {cast} makes no {target.title}")
    if len(source.branches) != 1 or source.word not in _TAKES[cast]:
        taken = ", ".join(sorted(_TAKES[cast]))
        raise Unassignable(f"cast {cast} takes {taken}, not {source.title}")
    return _CASTS[cast](source, wanted)


def text_of(source: AvroType) -> Convert:
    """A function that writes a leaf as text: a decimal in digits, a time in RFC 3339; it never fails."""
    return _TEXTS.get(source.word, str)


def _number_text(value: float) -> str:
    return repr(value)


_TEXTS: Mapping[str, Convert] = {
    "string": lambda value: value,
    "enum": lambda value: value,
    "boolean": lambda value: "true" if value else "false",
    "float": _number_text,
    "double": _number_text,
    "decimal": lambda value: format(value, "f"),
    "date": lambda value: value.isoformat(),
    "time": lambda value: value.isoformat(),
    "timestamp": format_time,
    "local timestamp": lambda value: value.isoformat(),
}


def _to_text(source: AvroType, _target: AvroType) -> Convert:
    return text_of(source)


def _to_whole(kind: str) -> Callable[[AvroType, AvroType], Convert]:
    check = compile_leaf(kind)

    def compile_(source: AvroType, _target: AvroType) -> Convert:
        def from_text(value: Any) -> Any:
            if not _WHOLE.fullmatch(value):
                raise misfit(f"{kind} as text", value)
            return check(int(value))

        def from_number(value: Any) -> Any:
            try:
                whole = int(value)
            except (ValueError, OverflowError):  # NaN, infinity
                raise misfit(kind, value) from None
            if whole != value:
                raise misfit(f"{kind}: a whole number", value)
            return check(whole)

        return from_text if source.word == "string" else from_number

    return compile_


def _to_floating(_source: AvroType, target: AvroType) -> Convert:
    check, kind = compile_python_leaf(target.schema), target.title

    def convert(value: Any) -> Any:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            raise misfit(f"{kind} as text", value)
        result = float(value)
        if math.isinf(result) and not isinstance(value, float):
            raise misfit(kind, value)
        return check(result)

    return convert


def _to_decimal(source: AvroType, target: AvroType) -> Convert:
    check, expected = compile_python_leaf(target.schema), target.title

    def from_text(value: Any) -> Any:
        if not _NUMBER.fullmatch(value):
            raise misfit(f"{expected} as text", value)
        return check(Decimal(value))

    if source.word == "string":
        return from_text
    if source.word in _FLOATING:
        # The shortest text that reads as this number: 19.99 is 19.99, not 19.989999999999998436805981327779591.
        shortest = repr if source.word == "double" else _shortest_float
        return lambda value: check(Decimal(shortest(value)))
    return lambda value: check(Decimal(value))


def _shortest_float(value: float) -> str:
    """Shortest text of a number of 32 bits, of which up to 9 digits count."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
            return text
    return f"{value:.9g}"


def _to_boolean(source: AvroType, _target: AvroType) -> Convert:
    def convert(value: Any) -> bool:
        found = _BOOLEANS.get(value.lower() if isinstance(value, str) else value)
        if found is None:
            raise misfit("true or false" if source.word == "string" else "1 or 0", value)
        return found

    return convert if source.word != "boolean" else lambda value: value


def _read_text(source: AvroType, target: AvroType) -> Convert:
    """What JSON says as text is cast from text in the same way."""
    return compile_leaf(target.schema) if source.word in {"string", "enum"} else lambda value: value


_CASTS: Mapping[str, Callable[[AvroType, AvroType], Convert]] = {
    "string": _to_text,
    "int": _to_whole("int"),
    "long": _to_whole("long"),
    "float": _to_floating,
    "double": _to_floating,
    "decimal": _to_decimal,
    "boolean": _to_boolean,
    **dict.fromkeys(("enum", "uuid", "date", "time", "timestamp"), _read_text),
}
