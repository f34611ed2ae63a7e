"""JSON to the values of Avro's leaves (primitive, enum, fixed, logical); json_values.py says what JSON looks like."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from streams.messages.avsc import Schema, kind_of
from streams.messages.logical import logical_type

Convert = Callable[[Any], Any]
CompileLeaf = Callable[[Schema], Convert]

_DECIMAL = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?")
_EXACT = Context(prec=1000)  # Python's own context rounds to 28 digits
_SHOWN = 60  # characters of a wrong value that an error repeats


class Misfit(Exception):
    """A value that is not of its type; the path to it grows as the error rises."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str | int] = []

    def line(self) -> str:
        """Path and message, in one line."""
        path = ""
        for step in reversed(self.path):
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        return f"{path or 'payload'}: {self.message}"


def misfit(expected: str, got: object) -> Misfit:
    """The error of a value that is of another type or form."""
    shown = json.dumps(got, default=str)
    return Misfit(f"expected {expected}, got {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'}")


def compile_leaf(schema: Schema) -> Convert:
    """A function from parsed JSON to the value of a leaf; it raises Misfit."""
    logical = logical_type(schema)
    return _LOGICAL[logical](schema) if logical else _SIMPLE[kind_of(schema)](schema)


def _null(_schema: Schema) -> Convert:
    def convert(value: Any) -> None:
        if value is not None:
            raise misfit("null", value)

    return convert


def _boolean(_schema: Schema) -> Convert:
    def convert(value: Any) -> bool:
        if value is not True and value is not False:
            raise misfit("boolean", value)
        return bool(value)

    return convert


def _whole(schema: Schema) -> Convert:
    kind = kind_of(schema)
    limit = 2**31 if kind == "int" else 2**63

    def convert(value: Any) -> int:
        if type(value) is not int:
            raise misfit(kind, value)
        if not -limit <= value < limit:
            raise misfit(f"{kind} of at most {limit.bit_length()} bits", value)
        return value

    return convert


def _float(schema: Schema) -> Convert:
    kind = kind_of(schema)

    def convert(value: Any) -> float:
        if type(value) in {float, int}:
            try:
                result = float(value)
            except OverflowError:
                raise misfit(kind, value) from None
            if kind == "double" or abs(result) < 2**128 or math.isinf(result):
                return result
        if value in {"NaN", "Infinity", "-Infinity"} and isinstance(value, str):
            return float(value)
        raise misfit(kind, value)

    return convert


def _string(_schema: Schema) -> Convert:
    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise misfit("string", value)
        return value

    return convert


def _bytes(schema: Schema) -> Convert:
    size = schema["size"] if isinstance(schema, dict) and "size" in schema else None
    expected = f"{size} bytes in base64" if size is not None else "bytes in base64"

    def convert(value: Any) -> bytes:
        if not isinstance(value, str):
            raise misfit(expected, value)
        try:
            result = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise misfit(expected, value) from None
        if size is not None and len(result) != size:
            raise misfit(expected, value)
        return result

    return convert


def _enum(schema: Schema) -> Convert:
    symbols = frozenset(schema["symbols"])

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise misfit(f"one of {', '.join(schema['symbols'])}", value)
        return value

    return convert


def _decimal(schema: Schema) -> Convert:
    precision, scale = schema["precision"], schema.get("scale", 0)
    expected = f"decimal({precision},{scale}) as a string"
    limit = Decimal(10) ** (precision - scale)
    # A fixed may hold fewer digits than its precision says.
    capacity = 2 ** (8 * schema["size"] - 1) if schema["type"] == "fixed" and schema["size"] else None

    def convert(value: Any) -> Decimal:
        is_number = type(value) is int and abs(value) < limit
        if not is_number and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            raise misfit(expected, value)
        result = Decimal(value)
        exponent = result.as_tuple().exponent
        if result.copy_abs() >= limit or (isinstance(exponent, int) and -exponent > scale):
            raise misfit(expected, value)
        if capacity is not None and not -capacity <= int(result.scaleb(scale, _EXACT)) < capacity:
            raise misfit(f"decimal of at most {schema['size']} bytes", value)
        return result

    return convert


def _parsed(expected: str, parse: Callable[[str], Any]) -> Callable[[Schema], Convert]:
    """A logical type whose JSON is a string of some form."""

    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            raise misfit(expected, value)
        try:
            return parse(value)
        except (ValueError, OverflowError, ArithmeticError):
            raise misfit(expected, value) from None

    return lambda _schema: convert


def _instant(text: str) -> datetime:
    result = datetime.fromisoformat(text)
    if result.tzinfo is None or "T" not in text.upper():
        raise ValueError
    return result


def _local(text: str) -> datetime:
    result = datetime.fromisoformat(text)
    if result.tzinfo is not None or "T" not in text.upper():
        raise ValueError
    return result


_INSTANT = _parsed("a time such as 2026-01-31T12:00:00Z", _instant)
_LOCAL = _parsed("a local time such as 2026-01-31T12:00:00", _local)
_TIME = _parsed("a time of day such as 12:00:00", time.fromisoformat)

_LOGICAL: dict[str, Callable[[Any], Convert]] = {
    "decimal": _decimal,
    "timestamp-millis": _INSTANT,
    "timestamp-micros": _INSTANT,
    "local-timestamp-millis": _LOCAL,
    "local-timestamp-micros": _LOCAL,
    "date": _parsed("a date such as 2026-01-31", date.fromisoformat),
    "time-millis": _TIME,
    "time-micros": _TIME,
    "uuid": _parsed("a UUID", UUID),
}
_SIMPLE: dict[str, Callable[[Any], Convert]] = {
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
}
