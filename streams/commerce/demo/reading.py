"""Brings the topics' records to the recount: the thin part between Kafka and `recount`."""

from collections.abc import Sequence

from confluent_kafka import Message

from streams.commerce.demo.messages import DEAD_LETTERS, DESTINATIONS, SOURCE
from streams.commerce.demo.recount import Found, Recount, Sent, Tally
from streams.commerce.demo.wire import Headers
from streams.config import Settings
from streams.engine.topic_reader import read_topics


def headers_of(record: Message) -> Headers:
    """Headers in their order; a null value reads as no bytes."""
    headers = record.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs)


def recount_topics(settings: Settings, sent: Sequence[Sent]) -> Tally:
    """Read all topics that the demo writes to or has written for it, committed records only, and count.

    Raises:
        HeadraceError: a topic cannot be read.
    """
    recount = Recount(sent)

    def add_all(records: list[Message]) -> None:
        for record in records:
            recount.add(_found(record))

    read_topics(settings, (SOURCE, *DESTINATIONS, DEAD_LETTERS), add_all)
    return recount.tally()


def _found(record: Message) -> Found:
    key, value = record.key(), record.value()
    return Found(
        topic=str(record.topic()),
        partition=record.partition() or 0,
        key=key.encode() if isinstance(key, str) else key,
        value=value.encode() if isinstance(value, str) else value,
        timestamp_ms=record.timestamp()[1],
        headers=headers_of(record),
    )
