"""The groups of a partition while they are not whole: every message of them, each once, and when they began.

Rows, `<g>` being what its messages have in common: `group:<g>` says how many there are, `message:<n>:<g>` has one,
`id:<quoted id>:<g>` knows it again. A group whose time runs out is an entry of the partition's stream time.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.message import Record
from streams.patterns.stream_time import Rows, StreamTime
from streams.routing.admission import Headers, RawHeaders
from streams.transforming.reading import Arrived

MOST_MESSAGES = 10_000


@dataclass(frozen=True, slots=True)
class First:
    """Of a group's first message, what the message made of all takes over."""

    key: bytes | None
    raw: RawHeaders
    headers: Headers


class Stored(NamedTuple):
    """A message of a group: its id, and its value as it came, in which tagged fields stay encrypted."""

    id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """A group that is given up to be made whole: its first message's key and headers, and all messages in order."""

    first: First
    messages: list[Stored]


class Groups:
    """Groups of one partition.

    Args:
        rows: of the table `groups` in this partition.
        partition: its number.
        timeout_ms: how long after its first message a group is given up; None: never.
        most_bytes: of all messages of a group.
    """

    def __init__(self, rows: Rows, partition: int, timeout_ms: int | None, most_bytes: int) -> None:
        self._rows = rows
        self._time = StreamTime(rows, partition, timeout_ms) if timeout_ms is not None else None
        self._most_bytes = most_bytes

    def overdue(self, timestamp_ms: int) -> Iterator[Group]:
        """Groups whose time is over now that a record of this time has come."""
        if self._time is None:
            return
        self._time.tick(timestamp_ms)
        for entry in self._time.leave():
            head = self._rows.get(_group(entry.what))
            if head is not None and head["entry"] == entry.number:
                yield self.take(entry.what)

    def add(self, group: str, record: Record, arrived: Arrived) -> int:
        """Add a message, unless the group has it; how many there are.

        Raises:
            InvalidMessage: the group would be too large.
        """
        message_id = arrived.id
        head = self._rows.get(_group(group))
        if head is None:
            entry = self._time.enter(group) if self._time is not None else 0
            head = {"records": 0, "bytes": 0, "entry": entry, "first": _written(record.key(), arrived)}
        elif self._rows.get(_known(message_id, group)) is not None:
            return int(head["records"])
        number, size = int(head["records"]), head["bytes"] + len(arrived.value)
        if number >= MOST_MESSAGES or size > self._most_bytes:
            limits = f"{MOST_MESSAGES} messages and {self._most_bytes} bytes"
            raise InvalidMessage(f"expected a group of at most {limits}, got one more for {group[:100]!r}")
        self._rows.set(_known(message_id, group), number)
        self._rows.set(_message(number, group), {"id": message_id, "value": _text(arrived.value)})
        self._rows.set(_group(group), {**head, "records": number + 1, "bytes": size})
        return number + 1

    def take(self, group: str) -> Group:
        """All of a group, of which nothing is left."""
        head = self._rows.get(_group(group))
        messages = []
        for number in range(head["records"]):
            message = self._rows.get(_message(number, group))
            messages.append(Stored(message["id"], base64.b64decode(message["value"])))
            self._rows.delete(_known(message["id"], group))
            self._rows.delete(_message(number, group))
        self._rows.delete(_group(group))
        return Group(_read(head["first"]), messages)


def _group(group: str) -> bytes:
    return f"group:{group}".encode()


def _message(number: int, group: str) -> bytes:
    return f"message:{number}:{group}".encode()


def _known(message_id: str, group: str) -> bytes:
    return f"id:{quote(message_id, safe='')}:{group}".encode()


def _written(key: bytes | None, arrived: Arrived) -> dict[str, Any]:
    """A first message as JSON; its attributes apart, since a message without ce_ headers has them too."""
    return {
        "key": None if key is None else _text(key),
        "headers": [[name, None if value is None else _text(value)] for name, value in arrived.raw],
        "attributes": {name: _text(arrived.headers[name] or b"") for name in names.REQUIRED if name in arrived.headers},
    }


def _read(first: dict[str, Any]) -> First:
    raw = [(name, None if text is None else base64.b64decode(text)) for name, text in first["headers"]]
    attributes = {name: base64.b64decode(text) for name, text in first["attributes"].items()}
    key = None if first["key"] is None else base64.b64decode(first["key"])
    return First(key, raw, {**dict(raw), **attributes})


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
