"""What follows from a comparison, and what it rules out: how lint finds routes that never get a message.

Sound, not complete: what is reported holds for every message; what is not seen through is not reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from streams.routing.comparison_lint import operands
from streams.routing.field_types import Types
from streams.routing.fields import Field, parse_field
from streams.routing.operators import is_number, readings, value_test
from streams.routing.texts import header_test, text_test
from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition

# Types of a field, named as in a condition.
TypesOf = Callable[[str], Types]

# Operators that leave a field one of some values, or those between bounds.
CHOICES = frozenset({"equals", "in"})
RANGES = frozenset({"greater_than", "greater_or_equal", "less_than", "less_or_equal", "between"})
_TRUE_WHERE_MISSING = frozenset({"not_equals", "not_in"})


@dataclass(frozen=True, slots=True)
class _Interval:
    """Values between two bounds of one type; None is no bound, `open` ones are left out."""

    low: object = None
    high: object = None
    open: bool = False

    def contains(self, other: "_Interval") -> bool:
        """Whether every value of `other` is one of this."""
        return not (self._cuts_low(other) or self._cuts_high(other))

    def _cuts_low(self, other: "_Interval") -> bool:
        if self.low is None:
            return False
        return other.low is None or _before(other.low, self.low, or_at=self.open and not other.open)

    def _cuts_high(self, other: "_Interval") -> bool:
        if self.high is None:
            return False
        return other.high is None or _before(self.high, other.high, or_at=self.open and not other.open)

    def disjoint(self, other: "_Interval") -> bool:
        """Whether no value is in both."""
        touching = self.open or other.open
        return any(
            high is not None and low is not None and _before(high, low, or_at=touching)
            for high, low in ((self.high, other.low), (other.high, self.low))
        )


def _before(first: object, second: object, *, or_at: bool) -> bool:
    return bool(first < second or (or_at and first == second))  # type: ignore[operator]  # of one ordered type


def implies(given: Condition, wanted: Condition, types_of: TypesOf) -> bool:
    """Whether every message that satisfies `given` satisfies `wanted`."""
    if given == wanted:
        return True
    if isinstance(wanted, AllOf):
        return all(implies(given, each, types_of) for each in wanted.conditions)
    if isinstance(given, AnyOf):
        return all(implies(each, wanted, types_of) for each in given.conditions)
    return _one_implies(given, wanted, types_of)


def _one_implies(given: Condition, wanted: Condition, types_of: TypesOf) -> bool:
    if isinstance(wanted, AnyOf):
        return any(implies(given, each, types_of) for each in wanted.conditions)
    if isinstance(given, AllOf):
        return any(implies(each, wanted, types_of) for each in given.conditions)
    if not isinstance(given, Comparison) or not isinstance(wanted, Comparison) or given.field != wanted.field:
        return False
    return _comparison_implies(given, wanted, types_of(given.field))


def contradicts(one: Comparison, other: Comparison, types_of: TypesOf) -> bool:
    """Whether no message satisfies both; with `[*]` different elements may, so nothing is ruled out."""
    if one.field != other.field or "[*]" in one.field:
        return False
    types = types_of(one.field)
    for first, second in ((one, other), (other, one)):
        if _asks_for_nothing(first) and _needs_a_value(second):
            return True
        values = _values(first, types)
        if first.operator in CHOICES and values and _decidable(first, second):
            return not any(map(_test(second), values))
    if one.operator in RANGES and other.operator in RANGES:
        pairs = _intervals(one, other, types)
        return bool(pairs) and all(first.disjoint(second) for first, second in pairs)
    return False


def _comparison_implies(given: Comparison, wanted: Comparison, types: Types) -> bool:
    if wanted.operator == "exists":
        return wanted.value is True and _needs_a_value(given)
    if given.operator in CHOICES:
        values = _values(given, types)
        return bool(values) and _decidable(given, wanted) and all(map(_test(wanted), values))
    if given.operator in RANGES and wanted.operator in RANGES:
        pairs = _intervals(given, wanted, types)
        return bool(pairs) and all(second.contains(first) for first, second in pairs)
    return False


def _asks_for_nothing(comparison: Comparison) -> bool:
    return comparison.operator == "exists" and comparison.value is False


def _needs_a_value(comparison: Comparison) -> bool:
    return comparison.operator not in _TRUE_WHERE_MISSING and not _asks_for_nothing(comparison)


def _place(comparison: Comparison) -> Field:
    return parse_field(comparison.field) or Field("header", comparison.field)


def _values(comparison: Comparison, types: Types) -> Sequence[object]:
    """The values that a field may have where `comparison` (equals or in) holds, as at run time."""
    if _place(comparison).place in {"payload", "time"}:
        return [known[each] for known in map(readings, operands(comparison)) for each in types if each in known]
    return [str(each).encode() for each in operands(comparison) if not isinstance(each, bool)]


def _decidable(choice: Comparison, other: Comparison) -> bool:
    """Whether one spelling stands for all: a header may spell the number 5 as 5.0, which matters to text."""
    numbers = any(map(is_number, operands(choice)))
    return not numbers or _place(choice).place != "header" or all(map(is_number, operands(other)))


@lru_cache(maxsize=4096)
def _test(comparison: Comparison) -> Callable[..., bool]:
    place = _place(comparison).place
    if place in {"payload", "time"}:
        return value_test(comparison.operator, comparison.value)
    return (header_test if place == "header" else text_test)(comparison.operator, comparison.value)


def _intervals(one: Comparison, other: Comparison, types: Types) -> list[tuple[_Interval, _Interval]]:
    """Both as intervals, for each type in which both are; empty where there is none."""
    kinds = types
    if _place(one).place not in {"payload", "time"}:
        kinds = frozenset({Decimal, str})  # a header; text is ordered as its UTF-8
    pairs = []
    for kind in kinds:
        first, second = _interval(one, kind, types), _interval(other, kind, types)
        if first and second:
            pairs.append((first, second))
    return pairs


def _interval(comparison: Comparison, kind: type, types: Types) -> _Interval | None:
    if bytes in types and kind is Decimal and not all(map(is_number, operands(comparison))):
        return None  # to a header, text that looks like a number is text
    bounds = [readings(each).get(kind) for each in operands(comparison)]
    if None in bounds:
        return None
    if comparison.operator == "between":
        return _Interval(bounds[0], bounds[1])
    is_open = comparison.operator in {"greater_than", "less_than"}
    if comparison.operator.startswith("greater"):
        return _Interval(low=bounds[0], open=is_open)
    return _Interval(high=bounds[0], open=is_open)
