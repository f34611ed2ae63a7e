"""Watches the counting stage's outputs as a read_committed reader does: how long does each partition stand still?"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from confluent_kafka import Consumer, TopicPartition  # noqa: TID251 a subscriber outside

from streams.config import Settings
from streams.dev.readiness import await_condition
from tests.chaos.domain import OUT
from tests.chaos.workload import PARTITIONS, Load

ENOUGH = 10**9  # records; the load is stopped, it does not run out


class Watch(threading.Thread):
    """Notes when outputs (`<number>:<count>`) become visible in each partition, from the moment it was made."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="watch", daemon=True)
        self.seen = 0
        self._arrivals: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self._enough = threading.Event()
        self._consumer = Consumer(
            {
                **settings.kafka_config(),
                "group.id": "watch",  # the client insists on one; it is neither joined nor committed to
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        ends = [
            TopicPartition(OUT, p, self._consumer.get_watermark_offsets(TopicPartition(OUT, p), 10)[1])
            for p in range(PARTITIONS)
        ]
        self._consumer.assign(ends)
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            for message in self._consumer.consume(1_000, 0.01):
                if message.error() is None:
                    number = int((message.value() or b"").partition(b":")[0])
                    self._arrivals[message.partition() or 0].append((time.monotonic(), number))
                    self.seen += 1
        self._consumer.close()

    def stop(self) -> None:
        self._enough.set()
        self.join(30)

    def first_from(self, number: int) -> dict[int, float]:
        """When (monotonic) each partition first showed the effect of a record that was sent as `number` or later."""
        found = {}
        for partition, arrivals in sorted(self._arrivals.items()):
            later = next((at for at, of in list(arrivals) if of >= number), None)
            if later is not None:
                found[partition] = later
        return found

    def longest_pauses(self) -> dict[int, float]:
        """Longest time in seconds between two records, by partition."""
        return {
            partition: max((b - a for (a, _), (b, _) in pairwise(arrivals)), default=0.0)
            for partition, arrivals in sorted(self._arrivals.items())
        }


@contextmanager
def watched_load(settings: Settings, rate: float, schema_id: int) -> Iterator[tuple[Load, Watch]]:
    """Records flow, `rate` a second, and somebody watches what becomes of them."""
    load, watch = Load(settings, ENOUGH, rate, schema_id), Watch(settings)
    load.start()
    try:
        await_condition(lambda: watch.seen > rate, 30, "outputs to flow")
        yield load, watch
    finally:
        watch.stop()
        load.stop()
