"""Changes of data keys by an operator: rotation and shredding, one at a time, on what the topic says at that moment.

A rotation that re-wrapped a key while somebody shredded it would bring it back; under one transactional id the later
of the two fences the earlier, which then starts again.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from confluent_kafka import Message, Producer

from streams.config import Settings
from streams.engine.key_topic import check_topic
from streams.engine.sole_writer import CALL_S, Fenced, insist, sole_producer
from streams.engine.topic_reader import read_topics
from streams.errors import NotReachable
from streams.topology.connection import connect
from streams.topology.names import KEYS_TOPIC, KEYS_TRANSACTIONAL_ID

Record = tuple[bytes, bytes | None]
Records = dict[bytes, bytes]  # what stands on the topic, without what tombstones took away

_WRITE_S = 120.0
_RECORDS_A_TRANSACTION = 5_000  # well within its timeout
_LONGEST_BACKOFF_S = 2.0
_WRITING = f"writing {KEYS_TOPIC}"


def read_keys(settings: Settings) -> Records:
    """All records of the topic by key.

    Raises:
        ConfigurationRefused: there is no such topic.
        NotReachable: Kafka does not answer.
    """
    check_topic(connect(settings.kafka_config()))
    return _read(settings)


def change_keys(settings: Settings, decide: Callable[[Records], Iterable[Record]]) -> Sequence[Record]:
    """Append what `decide` makes of the topic; nobody else changes keys between the reading and the writing.

    It may be asked again, of what is there then.

    Returns:
        What was appended.

    Raises:
        ConfigurationRefused: there is no such topic.
        NotReachable: Kafka does not answer, or others keep the topic.
    """
    config = settings.kafka_config()
    check_topic(connect(config))
    deadline = time.monotonic() + _WRITE_S
    while True:
        try:
            producer = sole_producer(config, KEYS_TRANSACTIONAL_ID, deadline, _WRITING)
            changes = list(decide(_read(settings)))
            _append(producer, changes, deadline)
        except Fenced as fenced:
            if time.monotonic() > deadline:
                raise NotReachable(f"{_WRITING}: others kept it for {_WRITE_S:g} s ({fenced})") from None
            time.sleep(random.uniform(0, _LONGEST_BACKOFF_S))  # noqa: S311 spreads writers, hides nothing
        else:
            return changes


def _append(producer: Producer, changes: Sequence[Record], deadline: float) -> None:
    rest = iter(changes)
    while chunk := list(islice(rest, _RECORDS_A_TRANSACTION)):
        insist(producer.begin_transaction, deadline, _WRITING)
        for key, value in chunk:
            producer.produce(KEYS_TOPIC, value, key, 0)
        insist(lambda: producer.commit_transaction(CALL_S), deadline, _WRITING)


def _read(settings: Settings) -> Records:
    found: Records = {}

    def take(messages: list[Message]) -> None:
        for message in messages:
            key, value = message.key() or b"", message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value

    read_topics(settings, [KEYS_TOPIC], take)
    return found
