"""A message: one Kafka record with its CloudEvents attributes.

For code that handles messages one by one; the router's hot path looks at raw headers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.headers import parse_time, text_of

RawHeaders = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """What is read of a consumed record (confluent_kafka.Message has it)."""

    def topic(self) -> str | None:
        """Where it came from."""

    def partition(self) -> int | None:
        """Of the topic."""

    def offset(self) -> int | None:
        """In the partition."""

    def key(self) -> bytes | None:
        """Business key."""

    def value(self) -> bytes | None:
        """Framed payload."""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """In order."""

    def timestamp(self) -> tuple[int, int]:
        """Its type and unix time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Message:
    """Key, value and headers as they came, and the attributes that they say.

    Args:
        headers: all of them, in order, untouched.
        timestamp_ms: of the record.
        id: `ce_id`; type: `ce_type`, the record's short name; source: `ce_source`; time: `ce_time`.
        subject: `ce_subject`, if any; likewise correlation_id, causation_id and data_schema.
    """

    key: bytes | None
    value: bytes | None
    headers: RawHeaders
    timestamp_ms: int
    id: str
    type: str
    source: str
    time: datetime
    subject: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    data_schema: str | None = None


def read_message(record: Record, only_contract: str | None = None) -> Message:
    """The message that a record is.

    Args:
        record: as consumed.
        only_contract: short name of the topic's contract where it has just one; then a record without ce_ headers
            is a message too: its id is `topic-partition-offset`, its time the record's timestamp.

    Raises:
        InvalidMessage: a required header is missing, not UTF-8 or malformed.
    """
    raw: RawHeaders = record.headers() or ()
    present = dict(raw)
    if only_contract is not None and not any(name.startswith("ce_") for name in present):
        return _plain(record, raw, only_contract)
    texts = {name: text_of(name, present[name]) for name in names.KNOWN & present.keys()}
    missing = [name for name in names.REQUIRED if name not in texts]
    if missing:
        raise InvalidMessage(f"header {missing[0]} is missing; a message needs {', '.join(names.REQUIRED)}")
    if texts[names.SPECVERSION] != "1.0":
        raise InvalidMessage(f"header {names.SPECVERSION}: expected 1.0, got {texts[names.SPECVERSION]!r}")
    return Message(
        key=record.key(),
        value=record.value(),
        headers=raw,
        timestamp_ms=record.timestamp()[1],
        id=texts[names.ID],
        type=texts[names.TYPE],
        source=texts[names.SOURCE],
        time=parse_time(present[names.TIME]),
        subject=texts.get(names.SUBJECT),
        correlation_id=texts.get(names.CORRELATION_ID),
        causation_id=texts.get(names.CAUSATION_ID),
        data_schema=texts.get(names.DATA_SCHEMA),
    )


def _plain(record: Record, raw: RawHeaders, contract: str) -> Message:
    timestamp_ms = record.timestamp()[1]
    return Message(
        key=record.key(),
        value=record.value(),
        headers=raw,
        timestamp_ms=timestamp_ms,
        id=f"{record.topic()}-{record.partition()}-{record.offset()}",
        type=contract,
        source=str(record.topic()),
        time=datetime.fromtimestamp(max(timestamp_ms, 0) / 1000, UTC),
    )
