"""Decoders of the model's scalar types, each with the words that name it in an error."""

import re
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from streams.topology.decoding import BAD, Decoder, Decoding
from streams.topology.scalars import duration_ms, shown
from streams.topology.shapes import DURATION, Between, Matching
from streams.topology.tree import Node


class NotThat(Exception):
    """The value is not of the type; `words` are those it may have been meant to be."""

    def __init__(self, remedy: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(remedy)
        self.remedy = remedy
        self.words = words


Convert = Callable[[object], object]

_IN_QUOTES = "put it in quotes to make it text"
_NAMES: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    Decimal: "a number",
    bool: "true or false",
}


def scalar_decoder(annotation: Any, shapes: tuple[object, ...] = ()) -> Decoder:
    """Decoder of str, int, float, bool, Literal and unions of them, narrowed by `shapes`."""
    expected, convert = _reader(annotation, shapes)

    def decode(node: Node, run: Decoding) -> object:
        value = run.scalar(node, expected)
        if value is BAD:
            return BAD
        try:
            return convert(value)
        except NotThat as error:
            remedy = run.near_miss(value, error.words, error.remedy)
            return run.refuse(node, f"expected {expected}, got {shown(value)}; {remedy}")

    return decode


def _reader(annotation: Any, shapes: tuple[object, ...]) -> tuple[str, Convert]:
    if DURATION in shapes:
        return "a duration", _duration
    if get_origin(annotation) is Literal:
        return _literal(get_args(annotation))
    if get_origin(annotation) in {Union, types.UnionType}:
        return _one_of(get_args(annotation))
    for shape in shapes:
        if isinstance(shape, Between):
            return _number(annotation, shape)
        if isinstance(shape, Matching):
            return _matching(shape)
    return _one_of((annotation,))


def _duration(value: object) -> int:
    ms = duration_ms(value) if isinstance(value, str) else None
    if ms is None:
        raise NotThat("write a number above 0 with its unit: 500ms, 30s, 5m, 12h or 7d")
    return ms


def _literal(options: tuple[object, ...]) -> tuple[str, Convert]:
    by_value = {option.value if isinstance(option, Enum) else option: option for option in options}
    words = tuple(str(value) for value in by_value)
    expected = f"one of {', '.join(words)}" if len(words) > 1 else words[0]

    def convert(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in by_value:
            raise NotThat(f"write {expected}", words)
        return by_value[value]

    return expected, convert


def _one_of(members: tuple[Any, ...]) -> tuple[str, Convert]:
    # Where any number will do, "a number" says it all.
    names = [_NAMES[member] for member in members if not (member is int and Decimal in members)]
    expected = " or ".join(names)

    def convert(value: object) -> object:
        if type(value) not in members:
            raise NotThat(_IN_QUOTES if str in members and value is not None else f"write {expected}")
        return value

    return expected, convert


def _number(annotation: Any, bounds: Between) -> tuple[str, Convert]:
    whole = annotation is int
    expected = f"a {'whole ' if whole else ''}number from {bounds.low} to {bounds.high}"

    def convert(value: object) -> object:
        number = value if type(value) is int or (type(value) is Decimal and not whole) else None
        if number is None or not bounds.low <= number <= bounds.high:
            raise NotThat("write such a number, without quotes")
        return number if whole else float(number)

    return expected, convert


def _matching(shape: Matching) -> tuple[str, Convert]:
    pattern = re.compile(shape.pattern)

    def convert(value: object) -> object:
        if type(value) is not str:
            raise NotThat(_IN_QUOTES if value is not None else f"write {shape.what}")
        if not pattern.fullmatch(value):
            raise NotThat("change it to such a text", shape.words)
        return value

    return shape.what, convert
