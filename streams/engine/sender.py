"""Produces the many messages that a person sends: idempotent, in order, each refusal told by message."""

import time
from functools import partial
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from streams.config import Settings
from streams.engine.clients import BATCH_SIZE_BYTES, REFUSALS
from streams.errors import NotReachable
from streams.topology.connection import answer

_DELIVERY_S = 30.0  # a message that Kafka did not take by then is given up, and the sending with it
_FULL_QUEUE_WAIT_S = 0.1
_SERVE_EVERY = 1000  # delivery reports are served once in so many messages

Headers = list[tuple[str, str | bytes | None]]
Refusal = tuple[int, str]  # (the message's number, Kafka's reason)


def batch_size_for(admin: AdminClient, topic: str) -> int:
    """Bytes that a batch may take: a larger one than the topic allows is refused, the innocent with the guilty.

    Raises:
        HeadraceError: Kafka refused to say or did not answer.
    """
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    configs = answer(admin.describe_configs([resource])[resource], f"reading the limits of {topic}")
    return min(BATCH_SIZE_BYTES, int(configs["max.message.bytes"].value))


class Sender:
    """A context manager; leaving it waits until everything is delivered or refused.

    Args:
        settings: where Kafka is.
        topic: where everything goes.
        batch_size: bytes; see `batch_size_for`.
    """

    def __init__(self, settings: Settings, topic: str, batch_size: int) -> None:
        self._topic = topic
        self._where = settings.bootstrap_servers()
        self._refusals: list[Refusal] = []
        self._unreachable: KafkaError | None = None
        self._unserved = 0
        self._producer = Producer(
            {
                **settings.kafka_config(),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # agrees with Java clients and the tables' partitions
                "compression.type": "lz4",
                "linger.ms": 20,
                "batch.size": batch_size,
                "message.max.bytes": 64 << 20,  # size is the broker's verdict, not the client's
                "delivery.timeout.ms": int(_DELIVERY_S * 1000),
                "delivery.report.only.error": True,
                "log_level": 0,  # what it would log is in the line that we raise
                "error_cb": lambda _error: None,
            }
        )

    def send(self, number: int, value: bytes, key: bytes | None, headers: Headers) -> None:
        """Produce one message, waiting for room; `number` names it should Kafka refuse it.

        Raises:
            NotReachable: Kafka takes nothing.
        """
        deadline = time.monotonic() + _DELIVERY_S
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, headers=headers, on_delivery=partial(self._undelivered, number)
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise NotReachable(f"Kafka at {self._where} has taken nothing for {_DELIVERY_S:g} s") from None
                self._serve(_FULL_QUEUE_WAIT_S)
            else:
                break
        self._unserved += 1
        if self._unserved >= _SERVE_EVERY:
            self._serve(0)

    def refusals(self) -> list[Refusal]:
        """What Kafka refused since this was last asked."""
        found, self._refusals = self._refusals, []
        return found

    def flush(self) -> None:
        """Wait until everything is delivered or refused.

        Raises:
            NotReachable: Kafka did not answer in time.
        """
        try:
            left = self._producer.flush(_DELIVERY_S + 5)
        except (KafkaException, SystemError) as error:
            raise NotReachable(f"Kafka at {self._where} failed: {error}") from None
        self._serve(0)
        if left:
            raise NotReachable(f"Kafka at {self._where} did not answer for {left} messages in {_DELIVERY_S:g} s")

    def _serve(self, wait_s: float) -> None:
        self._unserved = 0
        self._producer.poll(wait_s)
        if self._unreachable is not None:
            raise NotReachable(f"Kafka at {self._where} did not take a message: {self._unreachable.str()}")

    def _undelivered(self, number: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            return
        if error.code() in REFUSALS:
            self._refusals.append((number, f"Kafka refused it: {error.str()}"))
        elif self._unreachable is None:
            self._unreachable = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
