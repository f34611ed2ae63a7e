"""What each operator of a condition means for one decoded value; knows no message, no contract and no clock.

A test takes a value as fastavro decodes it, or None or MISSING where the field is missing or null. A value that
cannot be compared with the operand counts as missing, so a test never raises: lint has told the author (lint.py).
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from uuid import UUID

import re2

from streams.messages.paths import MISSING

ValueTest = Callable[[object], bool]
Compare = Callable[..., bool]
Readings = Mapping[type, object]

# Bytes that RE2 may use for one pattern. Its default, 8 MiB, lets one pattern take a third of a second to compile;
# with this `^[\pL\pN ]{1,80}$` still passes and `\pL{1,200}` does not.
_PATTERN_BYTES = 2 * 1024 * 1024
_REMEMBERED_PATTERNS = 4096

ORDERINGS: Mapping[str, Compare] = {
    "greater_than": operator.gt,
    "greater_or_equal": operator.ge,
    "less_than": operator.lt,
    "less_or_equal": operator.le,
}
TEXT_OPERATORS = frozenset({"contains", "starts_with", "ends_with", "matches"})
NEGATED: Mapping[str, str] = {"not_equals": "equals", "not_in": "in"}  # true where the field is missing


def is_number(operand: object) -> bool:
    """Whether an operand is a number that can be compared; YAML's booleans are none, nor is .nan."""
    return (isinstance(operand, Decimal) and operand.is_finite()) or type(operand) is int


def readings(operand: object) -> Readings:
    """How `operand` reads beside a value of each type that it can be compared with.

    A fraction in topology.yaml is a Decimal: beside a decimal it stays exact, beside a double it is the double
    that its digits spell.
    """
    if isinstance(operand, bool):
        return {bool: operand}
    if isinstance(operand, str):
        return _text_readings(operand)
    if not is_number(operand):
        return {}
    exact = operand if isinstance(operand, Decimal) else Decimal(str(operand))
    return {int: operand, float: float(operand) if isinstance(operand, Decimal) else operand, Decimal: exact}


def _text_readings(operand: str) -> Readings:
    parsers: Mapping[type, Callable[[str], object]] = {
        datetime: instant,
        date: date.fromisoformat,
        time: time.fromisoformat,
        UUID: UUID,
        Decimal: _decimal,
    }
    found: dict[type, object] = {str: operand}
    for kind, parse in parsers.items():
        try:
            found[kind] = parse(operand)
        except ValueError:
            continue
    return found


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


def instant(text: str) -> datetime:
    """Time that `text` spells; without an offset it is UTC, as everywhere in Headrace.

    Raises:
        ValueError: it spells none.
    """
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@lru_cache(maxsize=_REMEMBERED_PATTERNS)  # lint and every schema id of a topic compile the same ones
def compile_pattern(pattern: str) -> Callable[[bytes], object]:
    """Search function of an RE2 pattern over UTF-8 text (RE2: linear time, whatever the pattern).

    Raises:
        ValueError: the pattern is not RE2, or too large; the message is RE2's.
    """
    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr itself
    options.never_capture = True
    options.max_mem = _PATTERN_BYTES
    try:
        search: Callable[[bytes], object] = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else b"not RE2"
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
    return search


def value_test(name: str, operand: object) -> ValueTest:
    """Test of the operator `name` against `operand`, for a decoded value."""
    if name in NEGATED:
        positive = value_test(NEGATED[name], operand)
        return lambda value: not positive(value)
    if name == "exists":
        return lambda value: (value is not None and value is not MISSING) is operand
    if name in TEXT_OPERATORS:
        return _text_test(name, operand)
    if name == "in":
        return _membership(operand if isinstance(operand, tuple) else ())
    if name == "between":
        low, high = operand if isinstance(operand, tuple) else ((), ())
        at_least, at_most = _comparison(operator.ge, low), _comparison(operator.le, high)
        return lambda value: at_least(value) and at_most(value)
    return _comparison(ORDERINGS.get(name, operator.eq), operand)


def _comparison(compare: Compare, operand: object) -> ValueTest:
    expected = readings(operand)
    moment = expected.get(datetime)
    if isinstance(moment, datetime):
        return _time_comparison(compare, expected, moment)

    def test(value: object) -> bool:
        other = expected.get(type(value))
        return other is not None and compare(value, other)

    return test


def _time_comparison(compare: Compare, expected: Readings, moment: datetime) -> ValueTest:
    """Test against text that spells a time; a local timestamp is compared with what the clock on the wall says."""
    local = moment.replace(tzinfo=None)

    def test(value: object) -> bool:
        if isinstance(value, datetime):
            return compare(value, moment if value.tzinfo else local)
        other = expected.get(type(value))
        return other is not None and compare(value, other)

    return test


def _membership(operands: Iterable[object]) -> ValueTest:
    sets: dict[type, set[object]] = {}
    for operand in operands:
        for kind, reading in readings(operand).items():
            sets.setdefault(kind, set()).add(reading)
            if isinstance(reading, datetime):
                sets[kind].add(reading.replace(tzinfo=None))  # a local timestamp's

    def test(value: object) -> bool:
        members = sets.get(type(value))
        return members is not None and value in members

    return test


def _text_test(name: str, operand: object) -> ValueTest:
    if not isinstance(operand, str):
        return lambda _value: False
    if name == "matches":
        search = compile_pattern(operand)
        return lambda value: isinstance(value, str) and search(value.encode()) is not None
    if name == "contains":
        return lambda value: isinstance(value, str) and operand in value
    if name == "starts_with":
        return lambda value: isinstance(value, str) and value.startswith(operand)
    return lambda value: isinstance(value, str) and value.endswith(operand)
