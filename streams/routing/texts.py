"""What each operator of a condition means for UTF-8 bytes: headers, the key and the message's type.

UTF-8 keeps the order and the substrings of its text, so text is compared as the bytes that came, undecoded.
"""

import re
from collections.abc import Callable
from decimal import Decimal

from streams.routing.operators import NEGATED, ORDERINGS, compile_pattern, is_number, value_test

TextTest = Callable[[bytes | None], bool]

# Stricter than Decimal(): no "NaN", no "1_000", no blanks, no digits of other scripts, no exponent of a kilometre.
_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")


def parse_number(text: bytes | None) -> Decimal | None:
    """Number that a header's text spells, or None: such a header is missing to a numeric operand."""
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    return Decimal(text.decode())


def header_test(name: str, operand: object) -> TextTest:
    """Test of the operator `name` for a header: as a number where the operand is one, else as text."""
    if name in NEGATED:
        positive = header_test(NEGATED[name], operand)
        return lambda value: not positive(value)
    operands = operand if isinstance(operand, tuple) else (operand,)
    numbers = tuple(item for item in operands if is_number(item))
    if not numbers:
        return text_test(name, operand)
    if name == "in":
        in_texts, in_numbers = text_test("in", operands), value_test("in", numbers)
        return lambda value: in_texts(value) or in_numbers(parse_number(value))
    numeric = value_test(name, operand)
    return lambda value: numeric(parse_number(value))


def text_test(name: str, operand: object) -> TextTest:
    """Test of the operator `name` for bytes that are only ever text."""
    if name in NEGATED:
        positive = text_test(NEGATED[name], operand)
        return lambda value: not positive(value)
    if name == "exists":
        return lambda value: (value is not None) is operand
    if isinstance(operand, tuple):
        return _text_list_test(name, tuple(item.encode() for item in operand if isinstance(item, str)))
    if not isinstance(operand, str):
        return lambda _value: False
    return _comparison(name, operand)


def _text_list_test(name: str, operands: tuple[bytes, ...]) -> TextTest:
    if name == "in":
        members = frozenset(operands)
        return lambda value: value in members
    if len(operands) != len(("low", "high")):
        return lambda _value: False
    low, high = operands
    return lambda value: value is not None and low <= value <= high


def _comparison(name: str, operand: str) -> TextTest:
    raw = operand.encode()
    if name == "equals":
        return lambda value: value == raw
    if name == "matches":
        search = compile_pattern(operand)
        return lambda value: value is not None and search(value) is not None
    if name == "contains":
        return lambda value: value is not None and raw in value
    if name == "starts_with":
        return lambda value: value is not None and value.startswith(raw)
    if name == "ends_with":
        return lambda value: value is not None and value.endswith(raw)
    compare = ORDERINGS[name]
    return lambda value: value is not None and compare(value, raw)
