"""What conditions mean, written down plainly from design.md section 5 over decoded messages: slow, and independent."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not

ABSENT: Any = None
_ORDER = {
    "greater_than": operator.gt,
    "greater_or_equal": operator.ge,
    "less_than": operator.lt,
    "less_or_equal": operator.le,
}


@dataclass(frozen=True)
class Decoded:
    """A message as a person would write it down."""

    type: str
    headers: Mapping[str, bytes]
    key: bytes | None
    payload: Mapping[str, Any]


def holds(condition: Condition, message: Decoded) -> bool:
    if isinstance(condition, AllOf):
        return all(holds(each, message) for each in condition.conditions)
    if isinstance(condition, AnyOf):
        return any(holds(each, message) for each in condition.conditions)
    if isinstance(condition, Not):
        return not holds(condition.condition, message)
    values = values_of(condition.field, message)
    is_header = condition.field.startswith("headers.")
    return any(_one(condition, value, is_header=is_header) for value in values or [ABSENT])


def values_of(field: str, message: Decoded) -> list[Any]:
    """Everything that the field finds: nothing, one value, or several with `[*]`."""
    if field.startswith("payload."):
        return find(message.payload, re.findall(r"[^.\[\]]+", field)[1:])
    if field.startswith("headers."):
        found = message.headers.get(field.removeprefix("headers."))
    elif field == "message_type":
        return [message.type]
    elif field == "timestamp":
        return [datetime.fromisoformat(message.headers["ce_time"].decode())]
    elif field == "key":
        found = message.key
    else:
        names = {"message_id": "ce_id", "correlation_id": "ce_correlationid", "source": "ce_source"}
        found = message.headers.get(names[field])
    return [] if found is None else [found.decode()]


def find(value: Any, steps: list[str]) -> list[Any]:
    if value is None:
        return []
    if not steps:
        return [value]
    if steps[0] == "*":
        return [found for item in value for found in find(item, steps[1:])]
    if isinstance(value, list):
        index = int(steps[0])
        return find(value[index], steps[1:]) if index < len(value) else []
    return find(value.get(steps[0]), steps[1:])


def _one(condition: Comparison, value: Any, *, is_header: bool) -> bool:
    name, operand = condition.operator, condition.value
    if name == "exists":
        return (value is not ABSENT) is operand
    if name == "not_equals":
        return not _equal(value, operand, is_header=is_header)
    if name in {"in", "not_in"}:
        assert isinstance(operand, tuple)
        return any(_equal(value, each, is_header=is_header) for each in operand) is (name == "in")
    if name == "equals":
        return _equal(value, operand, is_header=is_header)
    if name == "between" or name in _ORDER:
        bounds = operand if isinstance(operand, tuple) else (operand,)
        compares = (operator.ge, operator.le) if name == "between" else (_ORDER[name],)
        return all(
            _ordered(compare, value, bound, is_header=is_header)
            for compare, bound in zip(compares, bounds, strict=True)
        )
    return isinstance(value, str) and isinstance(operand, str) and _text(name, value, operand)


def _text(name: str, value: str, operand: str) -> bool:
    if name == "matches":
        return re.search(operand, value) is not None
    return {
        "contains": operand in value,
        "starts_with": value.startswith(operand),
        "ends_with": value.endswith(operand),
    }[name]


def _equal(value: Any, operand: Any, *, is_header: bool) -> bool:
    pair = _pair(value, operand, is_header=is_header)
    return pair is not None and bool(pair[0] == pair[1])


def _ordered(compare: Any, value: Any, operand: Any, *, is_header: bool) -> bool:
    pair = _pair(value, operand, is_header=is_header)
    return pair is not None and bool(compare(*pair))


def _pair(value: Any, operand: Any, *, is_header: bool) -> tuple[Any, Any] | None:  # noqa: PLR0911 one return a rule
    """Both sides as values of one kind, or None where they cannot be compared."""
    if value is ABSENT:
        return None
    if isinstance(operand, bool) or isinstance(value, bool):
        return (value, operand) if isinstance(operand, bool) and isinstance(value, bool) else None
    if isinstance(operand, int | Decimal):
        if is_header:
            value = _number(value)
        if isinstance(value, float):
            return value, float(operand)
        return (value, Decimal(operand)) if isinstance(value, int | Decimal) else None
    if isinstance(value, Decimal):
        number = _number(operand)
        return (value, number) if number is not None else None
    if isinstance(value, datetime):
        try:
            moment = datetime.fromisoformat(operand)
        except ValueError:
            return None
        return value, moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (value, operand) if isinstance(value, str) else None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if re.fullmatch(r"[-+0-9.eE]+", text) else None
    except InvalidOperation:
        return None
