"""Fields of what a pattern makes, found by their names in what it is made of, and proven against both contracts.

A list's name says what its items are called: `lines` has a `line`, whose place is `line_number` (1 for the first) and
whose companions are counted in `line_count`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.messages.contracts import Contract
from streams.messages.encryption import Payload
from streams.messages.json_leaves import Convert
from streams.messages.paths import MISSING, Step, lookup, parse_path
from streams.transforming.avro_types import AvroType
from streams.transforming.copying import Unassignable, absence, compile_copy

_PAYLOAD = "payload."
_WHOLE_NUMBERS = frozenset({"int", "long"})


class Mistake(Exception):
    """The one cannot be made of the other; the message says what is missing."""


# Of one item: the whole payload, the item, its place from 1, how many there are.
_Field = Callable[[Payload, Any, int, int], Any]
# From which path of the source to which of the target something is taken over.
Copies = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Makes a payload of each item of a list.

    Args:
        steps: to the list.
        fields: of the target.
        copies: what is taken over.
    """

    steps: tuple[Step, ...]
    fields: Mapping[str, _Field]
    copies: Copies

    def __call__(self, payload: Payload) -> list[Payload]:
        """Payloads of the target, in the order of the list."""
        parts: Any = lookup(payload, self.steps)
        if parts is MISSING:
            return []
        count = len(parts)
        return [
            {name: field(payload, part, number, count) for name, field in self.fields.items()}
            for number, part in enumerate(parts, 1)
        ]


def compile_split(source: Contract, items: str, target: Contract) -> Split:
    """A function that makes a payload of `target` for each item of a list of `source`.

    A field is the item's of that name, else the whole message's, else the item's place or the number of items, else
    its default. An item that is no record is the field that is called as the list in the singular.

    Raises:
        Mistake: there is no such list, or a field comes from nowhere.
    """
    whole, made = AvroType.of(source), AvroType.of(target)
    path = items.removeprefix(_PAYLOAD)
    steps = parse_path(path)
    found = whole.at(steps)
    if found is None or found[0].word != "array":
        raise Mistake(f"{source.name} has no list {items}")
    item, one = found[0].items, _singular(str(steps[-1]))
    fields = {name: _part(name, whole, item, made, one) for name in made.fields}
    copies = []
    for name in made.fields:
        if item.word == "record" and name in item.fields:
            copies.append((f"{path}[*].{name}", name))
        elif item.word != "record" and name == one:
            copies.append((f"{path}[*]", name))
        elif name in whole.fields:
            copies.append((name, name))
    return Split(steps, fields, tuple(copies))


def _part(name: str, whole: AvroType, item: AvroType, made: AvroType, one: str) -> _Field:
    wanted = made.fields[name]
    try:
        if item.word == "record" and name in item.fields:
            way = compile_copy(item.fields[name], wanted) or _same
            return lambda _payload, part, _number, _count: way(part[name])
        if item.word != "record" and name == one:
            way = compile_copy(item, wanted) or _same
            return lambda _payload, part, _number, _count: way(part)
        if name in whole.fields:
            way = compile_copy(whole.fields[name], wanted) or _same
            return lambda payload, _part, _number, _count: way(payload[name])
    except Unassignable as error:
        raise Mistake(f"{name}: {error}") from None
    if wanted.without_null.word in _WHOLE_NUMBERS:
        if name == f"{one}_number":
            return lambda _payload, _part, number, _count: number
        if name == f"{one}_count":
            return lambda _payload, _part, _number, count: count
    fill = absence(made, name)
    if fill is None:
        raise Mistake(
            f"nothing makes {name}, which {made.title} requires: no field of that name in an item or around it"
        )
    return lambda _payload, _part, _number, _count: fill()


@dataclass(frozen=True, slots=True)
class Gathering:
    """How messages of one contract become one of another.

    Args:
        list_name: field of the target that has an item of each message.
        head: the target's other fields, of the first message.
        item: a message's item.
        place: where in the list it belongs; None: in the order in which they came.
        copies: what is taken over.
    """

    list_name: str
    head: Mapping[str, Callable[[Payload], Any]]
    item: Callable[[Payload], Any]
    place: Callable[[Payload], Any] | None
    copies: Copies


def compile_gathering(source: Contract, target: Contract) -> Gathering:
    """How a group of messages of `source` becomes a `target`.

    The target's list whose items can be made of messages of `source` has all of them; its other fields are the first
    message's of the same name, else their default.

    Raises:
        Mistake: there is not exactly one such list, or a field comes from nowhere.
    """
    part, made = AvroType.of(source), AvroType.of(target)
    lists = {name: way for name in made.fields if (way := _item(name, part, made)) is not None}
    if len(lists) != 1:
        what = f"{' and '.join(lists)} each" if lists else "no list"
        raise Mistake(f"{what} of {target.name} could be made of {source.name} messages; exactly one has to be")
    ((list_name, item),) = lists.items()
    head = {name: _of_first(name, part, made) for name in made.fields if name != list_name}
    number = f"{_singular(list_name)}_number"
    known = part.fields.get(number)
    is_place = known is not None and known.word in _WHOLE_NUMBERS
    place: Callable[[Payload], Any] | None = (lambda payload: payload[number]) if is_place else None
    wanted = made.fields[list_name].without_null.items.without_null
    copies = [(name, name) for name in head if name in part.fields]
    if wanted.word == "record":
        copies += [(name, f"{list_name}[*].{name}") for name in wanted.fields if name in part.fields]
    else:
        copies.append((_singular(list_name), f"{list_name}[*]"))
    return Gathering(list_name, head, item, place, tuple(copies))


def gathered(messages: Sequence[tuple[Gathering, Payload]]) -> Payload:
    """The payload that a group makes, in the order in which its messages came."""
    ordered = list(messages)
    if all(gathering.place for gathering, _ in ordered):
        ordered.sort(key=lambda each: each[0].place(each[1]) if each[0].place else 0)
    first, payload = messages[0]
    whole = {name: take(payload) for name, take in first.head.items()}
    return {**whole, first.list_name: [gathering.item(each) for gathering, each in ordered]}


def _item(name: str, part: AvroType, made: AvroType) -> Convert | None:
    """A function from a message to an item of a list of the target; None where it makes none."""
    wanted = made.fields[name].without_null
    if wanted.word != "array" or name in part.fields:
        return None
    one = _singular(name)
    try:
        if wanted.items.without_null.word == "record":
            return compile_copy(part, wanted.items) or _same
        if one not in part.fields:
            return None
        way = compile_copy(part.fields[one], wanted.items) or _same
    except Unassignable:
        return None
    return lambda payload: way(payload[one])


def _of_first(name: str, part: AvroType, made: AvroType) -> Callable[[Payload], Any]:
    if name in part.fields:
        try:
            way = compile_copy(part.fields[name], made.fields[name]) or _same
        except Unassignable as error:
            raise Mistake(f"{name}: {error}") from None
        return lambda payload: way(payload[name])
    fill = absence(made, name)
    if fill is None:
        raise Mistake(f"nothing makes {name}, which {made.title} requires: no field of that name in {part.title}")
    return lambda _payload: fill()


def _same(value: Any) -> Any:
    return value


def _singular(name: str) -> str:
    return name.removesuffix("s")
