"""Decoders of the model's classes, lists and mappings, compiled once from the types of their fields."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from streams.topology.condition_decoding import decode_condition
from streams.topology.conditions import Condition
from streams.topology.decoding import BAD, Decoder, Decoding
from streams.topology.located import Located
from streams.topology.scalar_decoding import scalar_decoder
from streams.topology.scalars import described, resolve, shown
from streams.topology.shapes import FROM_KEY, NON_EMPTY, TaggedBy, UniqueBy
from streams.topology.tree import ListNode, MapNode, Node, ScalarNode

Shapes = tuple[object, ...]
_LOCATED = frozenset(field.name for field in fields(Located))
_CONDITION = frozenset(get_args(Condition))


@cache
def decoder_of(annotation: Any) -> Decoder:
    """Decoder of one type of the model."""
    shapes: Shapes = ()
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        shapes = tuple(rest)
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return _union(get_args(annotation), shapes)
    if origin is tuple:
        return _list(decoder_of(get_args(annotation)[0]), shapes)
    if origin is Mapping:
        return _mapping(get_args(annotation)[1], shapes)
    if is_dataclass(annotation):
        return lambda node, run: decode_class(annotation, node, run)
    return scalar_decoder(annotation, shapes)


def _union(members: tuple[Any, ...], shapes: Shapes) -> Decoder:
    some = tuple(member for member in members if member is not types.NoneType)
    if frozenset(some) == _CONDITION:
        decode: Decoder = decode_condition
    elif tag := next((shape for shape in shapes if isinstance(shape, TaggedBy)), None):
        decode = _tagged(some, tag.key)
    elif len(some) == 1:
        decode = decoder_of(some[0])
    elif mapping := next((member for member in some if get_origin(member) is Mapping), None):
        decode = _written_out_or(decoder_of(mapping), some, shapes)
    else:
        decode = scalar_decoder(Union[some], shapes)  # noqa: UP007 made from a tuple
    return decode if len(some) == len(members) else _optional(decode)


def _written_out_or(mapping: Decoder, members: tuple[Any, ...], shapes: Shapes) -> Decoder:
    """A mapping, or a scalar that stands for one."""
    scalar = scalar_decoder(Union[tuple(each for each in members if get_origin(each) is not Mapping)], shapes)  # noqa: UP007 made from a tuple
    return lambda node, run: mapping(node, run) if isinstance(node, MapNode) else scalar(node, run)


def _optional(decode: Decoder) -> Decoder:
    def optional(node: Node, run: Decoding) -> Any:
        absent = isinstance(node, ScalarNode) and resolve(node.text, plain=node.plain) is None
        return None if absent else decode(node, run)

    return optional


def _tagged(members: tuple[Any, ...], key: str) -> Decoder:
    by_tag = {get_args(get_type_hints(member)[key])[0]: member for member in members}
    expected = f"one of {', '.join(by_tag)}"

    def decode(node: Node, run: Decoding) -> Any:
        if not isinstance(node, MapNode):
            return run.refuse(node, f"expected a mapping, got {described(node)}; write {{{key}: ..., ...}}")
        if key not in node.entries:
            return run.refuse(node, f"{key!r} is missing; it says what this is; add {expected}")
        where = node.entries[key][1]
        tag = run.scalar(where, expected)
        if tag is BAD:
            return BAD
        if tag in by_tag:
            return decode_class(by_tag[tag], node, run)
        remedy = run.near_miss(tag, by_tag, f"write {expected}")
        return run.refuse(where, f"expected {expected}, got {shown(tag)}; {remedy}")

    return decode


def _list(item: Decoder, shapes: Shapes) -> Decoder:
    unique = next((shape.key for shape in shapes if isinstance(shape, UniqueBy)), "")

    def decode(node: Node, run: Decoding) -> Any:
        if not isinstance(node, ListNode):
            return run.refuse(node, f"expected a list, got {described(node)}; write [...] or one `- ` line each")
        if NON_EMPTY in shapes and not node.items:
            return run.refuse(node, "empty list; without an item it does nothing; add one or remove it all")
        if unique:
            _refuse_doubled(node, unique, run)
        values = tuple(item(child, run) for child in node.items)
        return BAD if BAD in values else values

    return decode


def _refuse_doubled(node: ListNode, key: str, run: Decoding) -> None:
    seen: dict[str, ScalarNode] = {}
    for child in node.items:
        value = child.entries[key][1] if isinstance(child, MapNode) and key in child.entries else None
        if isinstance(value, ScalarNode) and (first := seen.setdefault(value.text, value)) is not value:
            message = f"{key} {shown(value.text)} again; line {first.line} has it; each must be unique; rename one"
            run.refuse(value, message)


def _mapping(value_type: Any, shapes: Shapes) -> Decoder:
    decode_value = decoder_of(value_type)

    def decode(node: Node, run: Decoding) -> Any:
        if not isinstance(node, MapNode):
            return run.refuse(node, f"expected a mapping, got {described(node)}; write `name: ...` lines")
        if NON_EMPTY in shapes and not node.entries:
            return run.refuse(node, "empty mapping; without an entry it does nothing; add one or remove it all")
        _refuse_doubled_keys(node, run)
        values: dict[str, Any] = {}
        for text, (key, child) in node.entries.items():
            if not text:
                run.refuse(key, "empty name; nothing could refer to it; write a name")
            named = is_dataclass(value_type)
            values[text] = decode_class(value_type, child, run, key) if named else decode_value(child, run)
        return BAD if BAD in values.values() else values

    return decode


def _refuse_doubled_keys(node: MapNode, run: Decoding) -> None:
    for again, first in node.doubled:
        run.refuse(again, f"key {shown(again.text)} again; line {first.line} has it; only one would count; keep one")


def decode_class(cls: Any, node: Node, run: Decoding, key: ScalarNode | None = None) -> Any:
    """An instance of `cls` from a mapping; `key` is the name under which the mapping stands, if any."""
    if not isinstance(node, MapNode):
        return run.refuse(node, f"expected {_spoken(cls)} as a mapping, got {described(node)}; write {{...}}")
    written = getattr(cls, "WRITTEN", cls)
    values = _values(written, node, run, key or node)
    if BAD in values.values():
        return BAD
    if key is not None:
        values.update(dict.fromkeys(_names_from_key(cls), key.text))
    here = key or node
    make = getattr(cls, "from_written", cls)
    return make(line=here.line, column=here.column, places=_places(node), **values)


def _values(cls: Any, node: MapNode, run: Decoding, here: Node) -> dict[str, Any]:
    """Values by attribute; mistakes under a name no attribute has."""
    kind, keys = _spoken(cls), _keys(cls)
    _refuse_doubled_keys(node, run)
    values: dict[str, Any] = {}
    for text, (key, child) in node.entries.items():
        if text in keys:
            attribute, decode, _ = keys[text]
            values[attribute] = decode(child, run)
        else:
            remedy = run.near_miss(text, keys, f"use {', '.join(keys)}")
            message = f"unknown key {shown(text)} in {kind}; it would be ignored; {remedy}"
            values[f"unknown {text}"] = run.refuse(key, message)
    for text, (attribute, _, required) in keys.items():
        if required and text not in node.entries:
            values[attribute] = run.refuse(here, f"{text!r} is missing; {kind} needs it; add `{text}: ...`")
    one_of = getattr(cls, "EXACTLY_ONE", ())
    if one_of and len(node.entries.keys() & set(one_of)) != 1:
        message = f"not exactly one of {', '.join(one_of)}; {kind} is one of these; keep or add one"
        values["one of"] = run.refuse(here, message)
    return values


@cache
def _keys(cls: Any) -> Mapping[str, tuple[str, Decoder, bool]]:
    """YAML key -> attribute, decoder, whether it must be there."""
    hints = get_type_hints(cls, include_extras=True)
    from_key = _names_from_key(cls)
    return {
        field.name.removesuffix("_"): (
            field.name,
            decoder_of(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(cls)
        if field.name not in _LOCATED and field.name not in from_key
    }


@cache
def _names_from_key(cls: Any) -> tuple[str, ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(name for name, hint in hints.items() if FROM_KEY in getattr(hint, "__metadata__", ()))


def _places(node: MapNode) -> dict[str, tuple[int, int]]:
    places = {}
    for text, (_, child) in node.entries.items():
        places[text] = (child.line, child.column)
        if isinstance(child, ListNode):
            places.update({f"{text}[{i}]": (item.line, item.column) for i, item in enumerate(child.items)})
        elif isinstance(child, MapNode):
            places.update({f"{text}.{name}": (key.line, key.column) for name, (key, _) in child.entries.items()})
    return places


@cache
def _spoken(cls: Any) -> str:
    """`RouteStep` as "a route step", `Alerts` as "alerts"; a class as written is called as the one it becomes."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in cls.__name__)
    words = words.strip().removeprefix("written ")
    article = "" if words.endswith("s") else "an " if words[0] in "aeiou" else "a "
    return article + words
