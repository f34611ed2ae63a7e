"""Payloads that Python code made: checked against their contract before anybody relies on them.

fastavro writes whatever it can make sense of: true for an int, anything for a boolean or null, an int beyond 32 bits.
Here a value is of its type exactly as decoding would give it, and fields that are left out get their defaults.
"""

import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from streams.messages.avsc import Schema, kind_of
from streams.messages.contracts import Contract
from streams.messages.json_leaves import Convert, Misfit, compile_leaf, misfit
from streams.messages.json_types import compile_type
from streams.messages.logical import logical_type

_LARGEST_FLOAT = 2.0**128
_EXACT = Context(prec=1000)  # Python's own context rounds to 28 digits
# Leaves whose JSON is their Python value, so that the strict check of one is that of the other.
_AS_IN_JSON = frozenset({"null", "boolean", "int", "long", "enum"})


def compile_python_check(contract: Contract) -> Convert:
    """A function that gives a payload of `contract` as decoding would give it, from one that Python code made.

    Fields that are absent get their default, or null where they may be null. It raises Misfit, with the path to the
    first value that does not fit.
    """
    convert = compile_type(contract.schema, compile_python_leaf)

    def check(payload: Any) -> Any:
        try:
            return convert(payload)
        except RecursionError:
            raise Misfit("nested too deeply") from None

    return check


def compile_python_leaf(schema: Schema) -> Convert:
    """A function that lets a Python value of a leaf through, and raises Misfit on any other."""
    logical = logical_type(schema)
    if logical:
        return _LOGICAL[logical](schema)
    kind = kind_of(schema)
    return compile_leaf(schema) if kind in _AS_IN_JSON else _SIMPLE[kind](schema)


def _float(schema: Schema) -> Convert:
    kind = kind_of(schema)

    def check(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise misfit(kind, value)
        try:
            result = float(value)
        except OverflowError:
            raise misfit(kind, value) from None
        if kind == "float" and abs(result) >= _LARGEST_FLOAT and not math.isinf(result):
            raise misfit(kind, value)
        return result

    return check


def _string(_schema: Schema) -> Convert:
    def check(value: Any) -> str:
        if type(value) is not str:
            raise misfit("string", value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise misfit("string without lone surrogates", value) from None
        return value

    return check


def _bytes(schema: Schema) -> Convert:
    size = schema["size"] if isinstance(schema, dict) and "size" in schema else None
    expected = "bytes" if size is None else f"{size} bytes"

    def check(value: Any) -> bytes:
        if type(value) is not bytes or (size is not None and len(value) != size):
            raise misfit(expected, value)
        return value

    return check


def _decimal(schema: Schema) -> Convert:
    """Exact: what has more digits than the contract is refused, never rounded."""
    precision, scale = schema["precision"], schema.get("scale", 0)
    expected = f"decimal({precision},{scale})"
    limit = Decimal(10) ** (precision - scale)
    size = schema.get("size")
    capacity = 2 ** (8 * size - 1) if size else None
    unit, whole_digits = Decimal((0, (1,), -scale)), precision - scale

    def check(value: Any) -> Decimal:
        if type(value) is Decimal and value.same_quantum(unit) and value.adjusted() < whole_digits and capacity is None:
            return value  # the usual case, at a fifth of the cost
        if not isinstance(value, Decimal) or not value.is_finite() or value.copy_abs() >= limit:
            raise misfit(expected, value)
        result: Decimal = value
        sign, digits, exponent = result.as_tuple()
        if isinstance(exponent, int) and exponent < -scale:
            spare = -scale - exponent
            if any(digits[-spare:]):
                raise misfit(expected, value)
            result = Decimal((sign, digits[:-spare] or (0,), -scale))
        if capacity is not None and not -capacity <= int(result.scaleb(scale, _EXACT)) < capacity:
            raise misfit(f"decimal of at most {size} bytes", value)
        return result

    return check


def _instance(expected: str, fits: Callable[[Any], bool]) -> Callable[[Schema], Convert]:
    def check(value: Any) -> Any:
        if not fits(value):
            raise misfit(expected, value)
        return value

    return lambda _schema: check


_INSTANT = _instance("a datetime with a zone", lambda value: type(value) is datetime and value.tzinfo is not None)
_LOCAL = _instance("a datetime without a zone", lambda value: type(value) is datetime and value.tzinfo is None)
_TIME = _instance("a time of day", lambda value: type(value) is time)

_LOGICAL: dict[str, Callable[[Any], Convert]] = {
    "decimal": _decimal,
    "timestamp-millis": _INSTANT,
    "timestamp-micros": _INSTANT,
    "local-timestamp-millis": _LOCAL,
    "local-timestamp-micros": _LOCAL,
    "date": _instance("a date", lambda value: type(value) is date),
    "time-millis": _TIME,
    "time-micros": _TIME,
    "uuid": _instance("a UUID", lambda value: type(value) is UUID),
}
_SIMPLE: dict[str, Callable[[Any], Convert]] = {
    "float": _float,
    "double": _float,
    "string": _string,
    "bytes": _bytes,
    "fixed": _bytes,
}
