"""Watches an output topic as a read_committed reader does, and tells how long each partition stood still."""

import threading
import time
from collections import defaultdict
from itertools import pairwise

from confluent_kafka import Consumer, TopicPartition  # noqa: TID251 a subscriber outside

from streams.config import Settings


class Watch(threading.Thread):
    """Notes when records of each partition of `topic` become visible, from the moment it was made."""

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        super().__init__(name="watch", daemon=True)
        self.seen = 0
        self._arrivals: dict[int, list[float]] = defaultdict(list)
        self._enough = threading.Event()
        self._consumer = Consumer(
            {
                **settings.kafka_config(),
                "group.id": "watch",  # the client insists on one; it is neither joined nor committed to
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        ends = [
            TopicPartition(topic, p, self._consumer.get_watermark_offsets(TopicPartition(topic, p), 10)[1])
            for p in range(partitions)
        ]
        self._consumer.assign(ends)
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            for message in self._consumer.consume(1_000, 0.01):
                if message.error() is None:
                    self._arrivals[message.partition() or 0].append(time.monotonic())
                    self.seen += 1
        self._consumer.close()

    def stop(self) -> None:
        self._enough.set()
        self.join(30)

    def first_after(self, moment: float) -> float | None:
        """When (monotonic) the first record after `moment` was seen, in any partition."""
        later = [at for arrivals in list(self._arrivals.values()) for at in arrivals if at > moment]
        return min(later, default=None)

    def longest_pauses(self) -> dict[int, float]:
        """Longest time in seconds between two records, by partition."""
        return {
            partition: max((b - a for a, b in pairwise(arrivals)), default=0.0)
            for partition, arrivals in sorted(self._arrivals.items())
        }
