"""Scalars of the file -> Python values by YAML 1.2's core schema, durations, and how to name a value."""

import re
from decimal import Decimal

from streams.topology.tree import ListNode, MapNode, Node, ScalarNode

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_LONGEST_SHOWN = 60


def resolve(text: str, *, plain: bool) -> str | int | Decimal | bool | None:
    """Value of a scalar; `on`, `no`, dates and 12:30 are text, as in YAML 1.2."""
    if not plain:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text):
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def duration_ms(text: str) -> int | None:
    """Milliseconds of a duration above zero, or None when `text` is none."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNIT_MS[match[2]] or None if match else None


def shown(value: object) -> str:
    """A value in a message: one line, quoted, not longer than a person reads."""
    if value is None:
        return "nothing"
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)[:_LONGEST_SHOWN]
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def described(node: Node) -> str:
    """What kind of value stands here, for "expected ..., got ..."."""
    match node:
        case ListNode():
            return "a list"
        case MapNode():
            return "a mapping"
        case ScalarNode(text=text, plain=plain):
            return shown(resolve(text, plain=plain))
