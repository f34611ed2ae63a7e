"""Produces records as they are given, as fast as librdkafka can: for the demo, benchmarks and soak runs.

Idempotent but not transactional, and it encodes nothing: it sends what the caller made, broken or not.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.config import Settings
from streams.engine.clients import acquainted
from streams.errors import NotReachable

_FLUSH_S = 30.0
_QUEUE_FULL_POLLS = 300  # of 0.1 s each: as long as a flush may take
_SERVE_EVERY = 500  # delivery reports are served once in so many records


class RawProducer:
    """A context manager; leaving it waits until everything is delivered.

    Args:
        settings: where Kafka is.
        linger_ms: how long a record may wait for company; 0 to measure latency.
    """

    def __init__(self, settings: Settings, *, linger_ms: int = 20) -> None:
        self._failed: KafkaError | None = None
        self._count = 0
        producer = Producer(
            {
                **settings.kafka_config(),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "message.max.bytes": 64 << 20,  # size is the broker's verdict
                "delivery.timeout.ms": int(_FLUSH_S * 1000),
                "log_level": 0,
            }
        )
        self._producer = acquainted(producer)

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Produce one record, waiting for room in the queue.

        Raises:
            NotReachable: an earlier record was not delivered, or there is no room for 30 s.
        """
        for _ in range(_QUEUE_FULL_POLLS):
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    timestamp=timestamp_ms,
                    headers=list(headers),
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        else:
            raise NotReachable(f"Kafka takes no more records for {topic}; is the broker alive?")
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
            raise NotReachable(f"Kafka did not take a record: {self._failed.str()}")

    def flush(self) -> None:
        """Wait until everything is delivered.

        Raises:
            NotReachable: something was not, within 30 s.
        """
        try:
            left = self._producer.flush(_FLUSH_S)
        except KafkaException as error:
            raise NotReachable(f"Kafka did not take a record: {error.args[0].str()}") from None
        self.serve()
        if left:
            raise NotReachable(f"Kafka did not take {left} records within {_FLUSH_S:.0f} s")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
