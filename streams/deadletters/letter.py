"""A dead letter as the index has it: all that its headers say, and where it stands in its dlq, but not its payload.

A letter is named by the record that failed: `<stage>:<topic>:<partition>:<offset>`. One that fails again after it was
sent back keeps its name and its row. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

from streams.engine.dead_letters import ERROR
from streams.engine.parked_record import Consumed
from streams.errors import Category
from streams.messages.key_text import text_of
from streams.topology import names

MOST_KEY_CHARACTERS = 1024  # of a longer key the index has the beginning
_MOST_DIGITS = 19
_PARTITION_DIGITS, _OFFSET_DIGITS = 6, 19  # so that rows of one source partition are in the order of its offsets
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class State(StrEnum):
    """What has become of a letter."""

    NEW = "new"
    REVIEWED = "reviewed"  # a copy of it is in headrace.review
    NOTIFIED = "notified"  # a copy of it is in headrace.notifications
    ARCHIVED = "archived"  # a copy of it is in headrace.archive
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


CLOSED = frozenset({State.REDRIVEN, State.DISCARDED})


class Position(NamedTuple):
    """Where a letter stands in its dlq: it names one failure, for each one makes another letter."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Position that `str` wrote.

        Raises:
            ValueError: it is none.
        """
        topic, slash, rest = text.rpartition("/")
        partition, at, offset = rest.partition("@")
        if not (slash and at and _is_number(partition) and _is_number(offset)):
            raise ValueError(f"expected topic/partition@offset, got {text!r:.100}")
        return cls(topic, int(partition), int(offset))


class LetterId(NamedTuple):
    """The record that failed."""

    stage: str
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Id that `str` wrote.

        Raises:
            ValueError: it is none.
        """
        parts = text.split(":")
        if len(parts) != len(cls._fields) or not all(parts[:2]) or not all(map(_is_number, parts[2:])):
            raise ValueError(f"expected <stage>:<topic>:<partition>:<offset>, got {text!r:.100}")
        return cls(parts[0], parts[1], int(parts[2]), int(parts[3]))

    def row_key(self) -> bytes:
        """Key of its row in the index."""
        partition, offset = f"{self.partition:0{_PARTITION_DIGITS}}", f"{self.offset:0{_OFFSET_DIGITS}}"
        return f"{self.stage}:{self.topic}:{partition}:{offset}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A row of the index. Times are RFC 3339 in UTC with milliseconds, so that their texts are in their order.

    Args:
        stage: which gave it up.
        topic: where the record stands that failed, like `partition` and `offset`.
        key: as text, of a long one the beginning; None where there is none.
        attempts: how often it was tried before it became this letter; 0 where its key was held.
        redrives: how often it was sent back.
        next_redrive_at: when it returns by itself.
        letter: position of its newest failure.
        omitted: its dlq refused it whole: it has no value.
        note: why a request about it was not carried out.
    """

    stage: str
    topic: str
    partition: int
    offset: int
    state: State = State.NEW
    category: str
    exception: str
    message: str
    route: str | None
    key: str | None
    attempts: int
    redrives: int = 0
    first_failed_at: str
    last_failed_at: str
    next_redrive_at: str | None = None
    letter: str
    omitted: bool = False
    note: str = ""

    @property
    def id(self) -> LetterId:
        """Its name."""
        return LetterId(self.stage, self.topic, self.partition, self.offset)

    @property
    def is_open(self) -> bool:
        """Whether it may be redriven or discarded."""
        return self.state not in CLOSED

    def row(self) -> dict[str, Any]:
        """As the index keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}  # a third of asdict's time

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Letter of a row of the index."""
        return replace(cls(**row), state=State(row["state"]))


class Record(Consumed, Protocol):
    """A consumed record of a dlq."""


def letter_of(record: Record) -> Letter:
    """What a record of a dlq says of itself; what somebody else has written there is taken as it is.

    Raises:
        UnicodeDecodeError, SystemError: the name of a header is not UTF-8.
    """
    own = Position(record.topic() or "", record.partition() or 0, record.offset() or 0)
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers() or ()}
    when = rfc3339(max(record.timestamp()[1], 0))
    topic, partition, offset = _origin(said, own)
    category = said.get("headrace-category", "")
    key = record.key()
    return Letter(
        stage=own.topic.removeprefix(names.RESERVED_PREFIX).removesuffix(".dlq"),
        topic=topic,
        partition=partition,
        offset=offset,
        category=category if category in set(Category) else Category.UNKNOWN.value,
        exception=said.get(ERROR + "exception", ""),
        message=said.get(ERROR + "message", ""),
        route=said.get("headrace-route"),
        key=None if key is None else key_text(key),
        attempts=_number(said.get("headrace-attempts", ""), 0),
        first_failed_at=_time(said.get("headrace-first-failed-at", ""), when),
        last_failed_at=_time(said.get("headrace-last-failed-at", ""), when),
        letter=str(own),
        omitted="headrace-omitted" in said,
    )


def key_text(key: bytes) -> str:
    """A record's key as the index has it."""
    return text_of(key)[:MOST_KEY_CHARACTERS]


def rfc3339(unix_ms: int) -> str:
    """A time in UTC with milliseconds."""
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _origin(said: Mapping[str, str], own: Position) -> Position:
    """Where the record stands that failed; the letter itself where nothing usable is said."""
    topic = said.get(ERROR + "topic", "")
    numbers = said.get(ERROR + "partition", ""), said.get(ERROR + "offset", "")
    if not names.is_legal_topic(topic) or not all(map(_is_number, numbers)):
        return own
    return Position(topic, int(numbers[0]), int(numbers[1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _number(text: str, otherwise: int) -> int:
    return int(text) if _is_number(text) else otherwise


def _time(text: str, otherwise: str) -> str:
    return text if _TIME.fullmatch(text) else otherwise
