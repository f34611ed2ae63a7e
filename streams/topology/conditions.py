"""Conditions of a route or a saga's step, as written: comparisons, and all, any and not of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from streams.topology.located import Located
from streams.topology.shapes import MessageField

Scalar = str | int | Decimal | bool
Operator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_or_equal",
    "less_than",
    "less_or_equal",
    "between",
    "in",
    "not_in",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "exists",
]


@dataclass(frozen=True, kw_only=True)
class Comparison(Located):
    """One test of one field.

    `value` is as written: text, whole numbers, true and false; numbers with a fraction or an exponent are
    Decimal, so that 0.1 means 0.1. `between` has two values, `in` and `not_in` one or more, as a tuple.
    """

    field: MessageField
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, kw_only=True)
class AllOf(Located):
    """True when every one is; a route's list of conditions is one, and an empty one is true."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, kw_only=True)
class AnyOf(Located):
    """True when at least one is."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, kw_only=True)
class Not(Located):
    """True when its condition is not."""

    condition: "Condition"


Condition = Comparison | AllOf | AnyOf | Not
