"""Reads single records of topics by their positions: dead letters, whose payload is nowhere else.

Positions that follow one another are read as one stream. No group, nothing is committed. One thread at a time.
"""

import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.config import Settings
from streams.engine.clients import acquainted
from streams.engine.stage import TP
from streams.errors import NotReachable

_AT_ONCE = 64  # records kept that were not asked for yet; each may be a megabyte
_POLL_S = 0.1
_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001 librdkafka's name
_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001


class RecordReader:
    """Connects when it is first asked.

    Args:
        settings: where Kafka is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: Consumer | None = None
        self._at: TP | None = None
        self._next = 0  # offset that the stream has reached
        self._kept: dict[int, Message] = {}
        self._lock = threading.Lock()

    def kept(self, topic: str, partition: int, offset: int) -> Message | None:
        """A record that was read along with an earlier one; costs no call to Kafka."""
        return self._kept.get(offset) if self._at == (topic, partition) else None

    def read(self, topic: str, partition: int, offset: int, timeout_s: float) -> Message | None:
        """The committed record at this position; None where there is none, or none any more.

        Raises:
            NotReachable: the broker did not give it in time.
        """
        with self._lock:
            if (found := self.kept(topic, partition, offset)) is not None:
                return found
            if self._consumer is None:
                self._consumer = acquainted(Consumer(self._config()))
            if self._at != (topic, partition) or offset != self._next:
                self._consumer.assign([TopicPartition(topic, partition, offset)])
                self._at = TP(topic, partition)
            self._kept.clear()
            self._next = offset
            return self._await(self._consumer, offset, time.monotonic() + timeout_s)

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
            self._consumer = self._at = None

    def _await(self, consumer: Consumer, offset: int, deadline: float) -> Message | None:
        while time.monotonic() < deadline:
            first = consumer.poll(_POLL_S)
            if first is None:
                continue
            for message in (first, *consumer.consume(_AT_ONCE - 1, 0)):
                if (error := message.error()) is None:
                    self._kept[message.offset() or 0] = message
                    self._next = (message.offset() or 0) + 1
                elif self._is_end(error, message, offset):
                    self._at = None  # the next one is looked for anew
                    return self._kept.get(offset)
            if self._next > offset:
                return self._kept.get(offset)
        self._at = None
        raise NotReachable(f"no broker gave the record at offset {offset} in time")

    @staticmethod
    def _is_end(error: KafkaError, message: Message, offset: int) -> bool:
        """Whether an error says that there is no record at `offset`; one that time mends is waited out."""
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return (message.offset() or 0) >= offset
        if error.code() in _GONE | _NO_TOPIC:
            return True
        if error.fatal():
            raise KafkaException(error)
        return False

    def _config(self) -> dict[str, object]:
        ignore: Callable[[KafkaError], None] = lambda _error: None  # noqa: E731 what matters is raised
        return {
            **self._settings.kafka_config(),
            "group.id": "headrace-record-reader",  # required by the client; never joined, never committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 16_384,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
            "error_cb": ignore,
        }
