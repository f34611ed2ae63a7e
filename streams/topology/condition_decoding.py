"""Conditions of the file: comparisons, `{all: [...]}`, `{any: [...]}`, `{not: {...}}`; a list means all."""

from collections.abc import Callable, Mapping
from typing import Any

from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not, Operator, Scalar
from streams.topology.decoding import BAD, Bad, Decoding
from streams.topology.scalar_decoding import scalar_decoder
from streams.topology.scalars import described, shown
from streams.topology.shapes import MESSAGE_FIELD
from streams.topology.tree import ListNode, MapNode, Node

_COMPARISON_KEYS = ("field", "operator", "value")
_BRANCHES = ("all", "any", "not")

_scalar = scalar_decoder(Scalar)
_boolean = scalar_decoder(bool)
_text = scalar_decoder(str)
_field = scalar_decoder(str, (MESSAGE_FIELD,))
_operator = scalar_decoder(Operator)


def decode_condition(node: Node, run: Decoding) -> Condition | Bad:
    """One condition; a list means all of its items."""
    if isinstance(node, ListNode):
        return _branch(AllOf, node, run)
    if not isinstance(node, MapNode):
        message = f"expected a condition, got {described(node)}; write {{field, operator, value}}"
        return run.refuse(node, message)
    for again, first in node.doubled:
        message = f"key {shown(again.text)} again; line {first.line} has it; only one would count; keep one"
        run.refuse(again, message)
    name = next((key for key in _BRANCHES if key in node.entries), None)
    if name is None:
        return _comparison(node, run)
    if len(node.entries) > 1:
        return run.refuse(node, f"{name!r} beside other keys; which one counts is unclear; nest them in a list")
    return _nested(name, node, run)


def _nested(name: str, node: MapNode, run: Decoding) -> Condition | Bad:
    child = node.entries[name][1]
    if name == "not":
        negated = decode_condition(child, run)
        return BAD if isinstance(negated, Bad) else Not(line=node.line, column=node.column, condition=negated)
    if isinstance(child, ListNode):
        return _branch(AllOf if name == "all" else AnyOf, child, run)
    return run.refuse(child, f"expected a list under {name!r}, got {described(child)}; write [...]")


def _branch(kind: type[AllOf] | type[AnyOf], node: ListNode, run: Decoding) -> Condition | Bad:
    if kind is AnyOf and not node.items:
        return run.refuse(node, "empty 'any'; it would never be true; add a condition")
    conditions = [decode_condition(item, run) for item in node.items]
    good = tuple(condition for condition in conditions if not isinstance(condition, Bad))
    return kind(line=node.line, column=node.column, conditions=good) if len(good) == len(conditions) else BAD


def _comparison(node: MapNode, run: Decoding) -> Comparison | Bad:
    _refuse_other_keys(node, run)
    nodes = {key: node.entries[key][1] for key in _COMPARISON_KEYS if key in node.entries}
    field: Any = _field(nodes["field"], run) if "field" in nodes else BAD
    operator: Any = _operator(nodes["operator"], run) if "operator" in nodes else BAD
    if operator is BAD or "value" not in nodes:
        return BAD
    value = _OPERANDS.get(operator, _scalar)(nodes["value"], run)
    if BAD in {field, value}:
        return BAD
    places = {key: (child.line, child.column) for key, child in nodes.items()}
    return Comparison(line=node.line, column=node.column, places=places, field=field, operator=operator, value=value)


def _refuse_other_keys(node: MapNode, run: Decoding) -> None:
    for text, (key, _) in node.entries.items():
        if text not in _COMPARISON_KEYS:
            remedy = run.near_miss(text, (*_COMPARISON_KEYS, *_BRANCHES), "use field, operator and value")
            run.refuse(key, f"unknown key {shown(text)} in a condition; it would be ignored; {remedy}")
    for name in _COMPARISON_KEYS:
        if name not in node.entries:
            message = f"{name!r} is missing; a condition compares a field with a value; add `{name}: ...`"
            run.refuse(node, message)


def _ordered(node: Node, run: Decoding) -> Any:
    value = _scalar(node, run)
    if isinstance(value, bool):
        return run.refuse(node, f"expected a number or text, got {shown(value)}; it has no order; use equals")
    return value


def _several(node: Node, run: Decoding) -> Any:
    if not isinstance(node, ListNode) or not node.items:
        got = "an empty list" if isinstance(node, ListNode) else described(node)
        return run.refuse(node, f"expected a list of values, got {got}; write [first, second]")
    values = tuple(_scalar(item, run) for item in node.items)
    return BAD if BAD in values else values


def _range(node: Node, run: Decoding) -> Any:
    if not isinstance(node, ListNode) or len(node.items) != 2:  # noqa: PLR2004 a range has two ends
        got = f"a list of {len(node.items)}" if isinstance(node, ListNode) else described(node)
        return run.refuse(node, f"expected the two ends of a range, got {got}; write [low, high]")
    low, high = (_ordered(item, run) for item in node.items)
    if BAD in {low, high}:
        return BAD
    if isinstance(low, str) != isinstance(high, str):
        return run.refuse(node, "a number and a text as ends; nothing lies between; make both alike")
    if low > high:
        return run.refuse(node, "the low end is above the high end; nothing lies between; turn them round")
    return low, high


_OPERANDS: Mapping[str, Callable[[Node, Decoding], Any]] = {
    **dict.fromkeys(("greater_than", "greater_or_equal", "less_than", "less_or_equal"), _ordered),
    **dict.fromkeys(("in", "not_in"), _several),
    **dict.fromkeys(("starts_with", "ends_with", "matches"), _text),
    "between": _range,
    "exists": _boolean,
}
