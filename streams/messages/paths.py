"""Paths into a payload: `customer.city`, `lines[0].sku`, `lines[*].sku`, `attributes.color`.

A path that leads through null, an absent key or past an array's end finds MISSING, and so does one that ends at
null: "null is missing" (design, section 5). With `[*]` the finding is a list of what is there.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal

from streams.errors import UsageError


class _Every(Enum):
    EVERY = "*"

    def __repr__(self) -> str:
        return "[*]"


class _Missing(Enum):
    MISSING = "missing"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"


EVERY: Final = _Every.EVERY
MISSING: Final = _Missing.MISSING
Missing = _Missing
Step = str | int | _Every

_PATH = re.compile(r"[^.\[\]]+(\[(\d{1,9}|\*)\])*(\.[^.\[\]]+(\[(\d{1,9}|\*)\])*)*")
_STEP = re.compile(r"\[(\d+|\*)\]|([^.\[\]]+)")


def parse_path(path: str) -> tuple[Step, ...]:
    """Steps of a path.

    Raises:
        UsageError: it is not written as a path.
    """
    if not _PATH.fullmatch(path):
        raise UsageError(f"`{path}` is no path; write names joined by dots, with [0] or [*] after an array")
    return tuple(
        name or (EVERY if index == "*" else int(index)) for index, name in (m.groups() for m in _STEP.finditer(path))
    )


def lookup(payload: object, steps: tuple[Step, ...]) -> object:
    """What `steps` find in a decoded payload: a value, MISSING, or a list where they contain `[*]`."""
    for position, step in enumerate(steps):
        if step is EVERY:
            rest = steps[position + 1 :]
            return _every(payload, rest) if isinstance(payload, list) else MISSING
        if isinstance(step, int):
            payload = payload[step] if isinstance(payload, list) and step < len(payload) else None
        else:
            payload = payload.get(step) if isinstance(payload, Mapping) else None
        if payload is None:
            return MISSING
    return payload


def _every(items: list[object], rest: tuple[Step, ...]) -> list[object]:
    found: list[object] = []
    for item in items:
        value = lookup(item, rest) if item is not None else MISSING
        if isinstance(value, list) and EVERY in rest:
            found += value
        elif value is not MISSING:
            found.append(value)
    return found
