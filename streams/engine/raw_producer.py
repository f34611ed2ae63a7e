"""Produces records as they are given, as fast as librdkafka can: for `send`, the demo, benchmarks and soak runs.

Idempotent but not transactional, and it encodes nothing: it sends what the caller made, broken or not.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # without __all__

from streams.config import Settings
from streams.engine.clients import BATCH_SIZE_BYTES, REFUSALS, acquainted
from streams.errors import NotReachable
from streams.topology.connection import answer

_DELIVERY_S = 30.0
_FULL_QUEUE_WAIT_S = 0.1
_SERVE_EVERY = 500  # delivery reports are served once in so many records

OnRefused = Callable[[int, str], None]  # the record's number and Kafka's reason


def batch_size_for(admin: AdminClient, topic: str) -> int:
    """Bytes that a batch may take: a larger one than the topic allows is refused, the innocent with the guilty.

    Raises:
        HeadraceError: Kafka refused to say or did not answer.
    """
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    configs = answer(admin.describe_configs([resource])[resource], f"reading the limits of {topic}")
    return min(BATCH_SIZE_BYTES, int(configs["max.message.bytes"].value))


class RawProducer:
    """A context manager; leaving it waits until everything is delivered.

    Args:
        settings: where Kafka is.
        linger_ms: how long a record may wait for company; 0 to measure latency.
        batch_size: bytes; at most the topic's `max.message.bytes`, or the innocent are refused with the guilty.
        on_refused: told of records that Kafka refuses for what they are; without it they end the sending.
        delivery_s: a record that Kafka has not taken by then is given up, and the sending with it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        linger_ms: int = 20,
        batch_size: int = BATCH_SIZE_BYTES,
        on_refused: OnRefused | None = None,
        delivery_s: float = _DELIVERY_S,
    ) -> None:
        self._delivery_s = delivery_s
        self._where = settings.bootstrap_servers()
        self._failed: KafkaError | None = None
        self._on_refused = on_refused
        self._count = 0
        producer = Producer(
            {
                **settings.kafka_config(),
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "batch.size": batch_size,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # agrees with Java clients and the tables' partitions
                "message.max.bytes": 64 << 20,  # size is the broker's verdict, not the client's
                "delivery.timeout.ms": int(delivery_s * 1000),
                "delivery.report.only.error": True,
                "log_level": 0,  # what it would log is in the line that we raise
                "error_cb": lambda _error: None,
            }
        )
        self._producer = acquainted(producer)

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: Sequence[tuple[str, str | bytes | None]] = (),
        number: int = 0,
    ) -> None:
        """Produce one record, waiting for room in the queue; `number` names it to `on_refused`.

        Without a `partition` the key chooses it.

        Raises:
            NotReachable: an earlier record was not delivered, or there is no room for as long.
        """
        deadline = time.monotonic() + self._delivery_s
        told = self._undelivered if self._on_refused is None else partial(self._judged, number)
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, told, timestamp=timestamp_ms, headers=list(headers)
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise NotReachable(f"Kafka at {self._where} has taken nothing for {self._delivery_s:g} s") from None
                self.serve(_FULL_QUEUE_WAIT_S)
            else:
                break
        self._count += 1
        if self._count % _SERVE_EVERY == 0:
            self.serve()

    def serve(self, wait_s: float = 0.0) -> None:
        """Serve delivery reports.

        Raises:
            NotReachable: a record was not delivered.
        """
        self._producer.poll(wait_s)
        if self._failed is not None:
            raise NotReachable(f"Kafka at {self._where} did not take a record: {self._failed.str()}")

    def flush(self) -> None:
        """Wait until everything is delivered or refused.

        Raises:
            NotReachable: something was not, in time.
        """
        try:
            left = self._producer.flush(self._delivery_s + 5)
        except (KafkaException, SystemError) as error:
            raise NotReachable(f"Kafka at {self._where} failed: {error}") from None
        self.serve()
        if left:
            raise NotReachable(f"Kafka at {self._where} did not take {left} records in {self._delivery_s:g} s")

    def _undelivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def _judged(self, number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() in REFUSALS and self._on_refused is not None:
            self._on_refused(number, f"Kafka refused it: {error.str()}")
        else:
            self._undelivered(error, message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
