"""Whether one comparison can mean something: its field exists, and its operand is of the field's kind."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from streams.messages.contracts import Contract
from streams.messages.tagged import TAG, crosses_tag
from streams.routing.field_types import UNCOMPARABLE, FieldTypes, Types, in_words
from streams.routing.fields import KNOWN, PAYLOAD_PREFIX, Field, parse_field
from streams.routing.operators import TEXT_OPERATORS, compile_pattern, readings
from streams.topology.conditions import Comparison
from streams.topology.findings import Finding
from streams.topology.scalars import shown

_MOST_NAMED = 8


def lint_comparison(comparison: Comparison, known: FieldTypes, carried: Sequence[Contract]) -> Iterator[Finding]:
    """Findings about one comparison.

    Args:
        comparison: as written.
        known: types of the fields of all contracts.
        carried: the contracts of the messages that can come to it.
    """
    found = parse_field(comparison.field)
    if found is None:
        yield comparison.finding(f"no field {comparison.field!r}; a message has {KNOWN}; correct it", "field")
        return
    types = known.of(found, carried)
    if not types:
        yield comparison.finding(_no_such_field(found, carried), "field")
    elif found.place == "payload" and any(crosses_tag(contract.schema, found.name) for contract in carried):
        what = f"{comparison.field!r} is tagged {TAG}"
        yield comparison.finding(f"{what}; encrypted, and routers cannot decrypt; ask for another field", "field")
    elif comparison.operator != "exists":
        yield from _lint_operand(comparison, found, types, carried)


def operands(comparison: Comparison) -> tuple[object, ...]:
    """The values that a comparison names: one or several."""
    return comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)


def _no_such_field(found: Field, carried: Sequence[Contract]) -> str:
    names = " or ".join(contract.name for contract in carried) or "any contract"
    known = [each["name"] for contract in carried for each in contract.schema["fields"]]
    close = get_close_matches(found.name, known, n=1)
    if close:
        remedy = f"did you mean {PAYLOAD_PREFIX}{close[0]}?"
    else:
        remedy = f"it has {', '.join(known[:_MOST_NAMED])}{', ...' if len(known) > _MOST_NAMED else ''}"
    return f"no field {PAYLOAD_PREFIX + found.name!r} in {names}; it would always be missing; {remedy}"


def _lint_operand(comparison: Comparison, found: Field, types: Types, carried: Sequence[Contract]) -> Iterator[Finding]:
    field, name = comparison.field, comparison.operator
    if types <= UNCOMPARABLE and found.place == "payload":
        why = f"it is {in_words(types)}, which only `exists` can ask for"
        yield comparison.finding(f"{name} on {field!r}; {why}; name a value in it, such as lines[*].sku", "field")
    elif name in TEXT_OPERATORS:
        yield from _lint_text(comparison, types)
    elif found.place == "type":
        yield from _lint_type(comparison, carried)
    else:
        for operand in operands(comparison):
            if not _comparable(found, types, operand):
                expected = _expected(found, types)
                what = f"{field!r} is {expected}, {shown(operand)} is not"
                yield comparison.finding(f"{what}; they would never compare; write {expected}", "value")


def _expected(found: Field, types: Types) -> str:
    if found.place == "header":
        return "text or a number"
    return in_words(types) if types != {bytes} else "text"


def _comparable(found: Field, types: Types, operand: object) -> bool:
    if found.place == "header":
        return not isinstance(operand, bool)
    if types == {bytes}:
        return isinstance(operand, str)
    return not types.isdisjoint(readings(operand))


def _lint_text(comparison: Comparison, types: Types) -> Iterator[Finding]:
    operand = comparison.value
    if types.isdisjoint({str, bytes}):
        what = f"{comparison.operator} on {comparison.field!r}, which is {in_words(types)}"
        yield comparison.finding(f"{what}; it searches in text only; use equals or between", "operator")
    elif not isinstance(operand, str):
        what = f"{comparison.operator} needs text, got {shown(operand)}"
        yield comparison.finding(f"{what}; it would never hold; quote it", "value")
    elif comparison.operator == "matches":
        try:
            compile_pattern(operand)
        except ValueError as error:
            remedy = "repeat less in it" if "too large" in str(error) else "see the RE2 syntax"
            yield comparison.finding(f"{shown(operand)} is no RE2 pattern: {error}; {remedy}", "value")


def _lint_type(comparison: Comparison, carried: Sequence[Contract]) -> Iterator[Finding]:
    known = sorted(contract.name for contract in carried)
    for operand in operands(comparison):
        if not isinstance(operand, str):
            yield comparison.finding(f"message_type is text, {shown(operand)} is not; quote it", "value")
        elif comparison.operator in {"equals", "not_equals", "in", "not_in"} and operand not in known:
            what = f"no message here has the type {operand!r}"
            why = f"its topic carries {', '.join(known[:_MOST_NAMED]) or 'no known contract'}"
            yield comparison.finding(f"{what}; {why}; correct the name or add the contract to the topic", "value")
