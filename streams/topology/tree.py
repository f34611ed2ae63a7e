"""Text of a YAML file -> a tree of nodes with positions.

Refuses what no topology needs and what could exhaust us. Built from the parser's events rather than by
PyYAML's composer, which recurses and expands before anyone can say stop. Aliases are refused outright: each
value stands in one place, so each mistake has one position, and no file is larger than it looks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from streams.topology.findings import Finding

# 1,000 routes take about 500 KiB and 60,000 nodes.
LARGEST_FILE_BYTES = 8 * 1024 * 1024
MOST_NODES = 250_000
DEEPEST = 48

# YAML 1.2, production 1 (c-printable), turned round.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Loader: type = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Unreadable(Exception):
    """The text has no tree; the finding says where and why."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(line, column, message)


@dataclass(slots=True)
class ScalarNode:
    """A scalar as written; only a plain one can be anything but text."""

    line: int
    column: int
    text: str
    plain: bool


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    line: int
    column: int
    items: "list[Node]"


@dataclass(slots=True)
class MapNode:
    """A mapping in the order of the file, each key once; `doubled`: keys that came again, their first."""

    line: int
    column: int
    entries: "dict[str, tuple[ScalarNode, Node]]"
    doubled: list[tuple[ScalarNode, ScalarNode]]


Node = ScalarNode | ListNode | MapNode


def parse_tree(text: str) -> Node:
    """Tree of the only document in `text`.

    Raises:
        Unreadable: not YAML, empty, several documents, or beyond the bounds above.
    """
    if len(text) > LARGEST_FILE_BYTES:
        raise Unreadable(1, 1, f"larger than {LARGEST_FILE_BYTES} bytes; a topology is written by hand; split it")
    if bad := _UNPRINTABLE.search(text):
        position = position_after(text[: bad.start()])
        raise Unreadable(*position, f"character {bad[0]!a}; YAML does not allow it; remove it")
    try:
        return _Builder(iter(yaml.parse(text, Loader=_Loader))).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join(str(error.problem or error.context).split())
        message = f"not YAML: {problem}; nothing can be read; mend the syntax here"
        raise Unreadable(line, column, message) from None
    except yaml.YAMLError as error:
        message = f"not YAML: {' '.join(str(error).split())}; nothing can be read; mend the syntax"
        raise Unreadable(1, 1, message) from None


def position_after(text: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


class _Builder:
    """Consumes events one by one and stops at the first that goes too far."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    message = "a second document; only one topology is read; remove `---`"
                    raise Unreadable(*_position(event), message)
                root = self._node(next(self._events), 1)
        if root is None:
            raise Unreadable(1, 1, "empty; a topology is expected; begin with `version: 1` and `topics:`")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _position(event)
        self._count(line, column, depth)
        if isinstance(event, yaml.AliasEvent):
            message = f"alias *{event.anchor}; each value must stand in one place; write the value out"
            raise Unreadable(line, column, message)
        if isinstance(event, yaml.ScalarEvent):
            _refuse_tag(event.tag, line, column)
            return ScalarNode(line, column, event.value, plain=not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            _refuse_tag(event.tag, line, column)
            return self._list(ListNode(line, column, []), depth)
        if isinstance(event, yaml.MappingStartEvent):
            _refuse_tag(event.tag, line, column)
        return self._map(MapNode(line, column, {}, []), depth)

    def _count(self, line: int, column: int, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise Unreadable(line, column, f"more than {MOST_NODES} values; a topology is smaller; split it")
        if depth > DEEPEST:
            raise Unreadable(line, column, f"nested more than {DEEPEST} deep; no key of a topology is; flatten it")

    def _list(self, node: ListNode, depth: int) -> ListNode:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node.items.append(self._node(event, depth + 1))
        return node

    def _map(self, node: MapNode, depth: int) -> MapNode:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, ScalarNode):
                raise Unreadable(key.line, key.column, "a key that is no text; every key is a word; write one")
            value = self._node(next(self._events), depth + 1)
            if key.text in node.entries:
                node.doubled.append((key, node.entries[key.text][0]))
            else:
                node.entries[key.text] = (key, value)
        return node


def _refuse_tag(tag: str | None, line: int, column: int) -> None:
    if tag is not None and tag != "!":
        raise Unreadable(line, column, f"tag {tag!r}; types follow from the keys; remove the tag")


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
