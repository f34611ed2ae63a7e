"""Reads topics from their start, or as they grow, without a group: for recounts and for measuring.

It commits nothing and no stage knows of it, so what it counts does not depend on what it checks.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.config import Settings
from streams.errors import HeadraceError, NotReachable

Isolation = Literal["read_committed", "read_uncommitted"]
OnRecords = Callable[[list[Message]], None]

_CALL_S = 10.0  # one request to a live broker takes milliseconds; past this it is gone
_POLL_S = 0.05  # `consume` waits this long for more, also at the end
_RECORDS_A_POLL = 10_000


def read_topics(
    settings: Settings,
    topics: Sequence[str],
    on_records: OnRecords,
    isolation: Isolation = "read_committed",
    *,
    timeout_s: float = 60.0,
) -> int:
    """Read every partition of `topics` from its start to the end that it has when it is reached.

    The end is librdkafka's partition EOF: with `read_committed` that is the last stable offset, so call this
    when no transaction is open, or see less than what will be there.

    Args:
        settings: where Kafka is.
        topics: names; all must exist.
        on_records: called with consecutive records of many partitions, in offset order within each.
        isolation: whether records of open and aborted transactions are left out.
        timeout_s: bound of the whole reading, in seconds.

    Returns:
        How many records were read.

    Raises:
        NotReachable: the broker did not answer, or the end was not reached in time.
        HeadraceError: a topic does not exist.
    """
    conf: dict[str, Any] = {"isolation.level": isolation, "enable.partition.eof": True, "queued.min.messages": 100_000}
    conf["fetch.wait.max.ms"] = 50  # the end of a partition is told by an empty fetch, which waits this long
    with _consumer(settings, conf) as consumer:
        partitions = _partitions(consumer, topics)
        consumer.assign([TopicPartition(*partition, OFFSET_BEGINNING) for partition in partitions])
        return _read_to_end(consumer, set(partitions), on_records, time.monotonic() + timeout_s)


def _read_to_end(consumer: Consumer, unread: set[tuple[str, int]], on_records: OnRecords, deadline: float) -> int:
    count = 0
    while unread:
        if time.monotonic() > deadline:
            open_ends = ", ".join(f"{topic}/{partition}" for topic, partition in sorted(unread))
            raise NotReachable(f"reading to the end took too long; not at the end yet: {open_ends}")
        records = []
        for message in consumer.consume(_RECORDS_A_POLL, _POLL_S):
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 librdkafka's own name of it
                unread.discard((str(message.topic()), int(message.partition() or 0)))
            else:
                raise NotReachable(f"reading {message.topic()} failed: {error.str()}")
        if records:
            on_records(records)
        count += len(records)
    return count


def follow_topics(
    settings: Settings,
    topics: Sequence[str],
    on_record: Callable[[Message], None],
    *,
    ready: Callable[[], None],
    finished: Callable[[], bool],
    timeout_s: float,
) -> None:
    """Hand over each committed record that enters `topics` from now on, as early as a consumer can have it.

    Args:
        settings: where Kafka is.
        topics: names; all must exist.
        on_record: called with one record at a time, as soon as poll returns it.
        ready: called once the current ends are known: what is produced after that is not missed.
        finished: asked between polls; true ends the following.
        timeout_s: bound of it all, in seconds; ends the following without an error.

    Raises:
        NotReachable: the broker did not answer.
        HeadraceError: a topic does not exist.
    """
    deadline = time.monotonic() + timeout_s
    conf = {"isolation.level": "read_committed", "fetch.queue.backoff.ms": 5, "reconnect.backoff.max.ms": 1000}
    with _consumer(settings, conf) as consumer:
        consumer.assign([_end(consumer, *partition) for partition in _partitions(consumer, topics)])
        ready()
        while not finished() and time.monotonic() < deadline:
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                on_record(message)


@contextmanager
def _consumer(settings: Settings, conf: dict[str, Any]) -> Iterator[Consumer]:
    # A group id is mandatory for librdkafka; nothing is ever committed to it.
    fixed = {"group.id": "headrace-reader", "enable.auto.commit": False, "auto.offset.reset": "error"}
    consumer = Consumer({**settings.kafka_config(), **fixed, **conf})
    try:
        yield consumer
    except KafkaException as error:
        raise NotReachable(f"Kafka did not answer: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topics: Sequence[str]) -> list[tuple[str, int]]:
    known = consumer.list_topics(timeout=_CALL_S).topics
    missing = [topic for topic in topics if topic not in known]
    if missing:
        raise HeadraceError(f"no such topic: {', '.join(missing)}; `headrace topology apply` creates them")
    return [(topic, partition) for topic in topics for partition in sorted(known[topic].partitions)]


def _end(consumer: Consumer, topic: str, partition: int) -> TopicPartition:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_CALL_S)
    return TopicPartition(topic, partition, end)
