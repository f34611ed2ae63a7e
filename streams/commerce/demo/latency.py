"""Measures latency: from produce() of a message to the poll that hands its routed copy to a committed reader.

Both clocks are this process's. It includes the producer (linger 0), the broker twice, the worker's cycle with its
commit, and the reader; at a gentle rate, for under load one would measure the wait for the next commit. The first
message is not measured: it waits for the producer's own connection and idempotent id.
"""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message

from streams.commerce.demo.messages import EXPRESS, STANDARD, DemoMessage
from streams.commerce.demo.reading import headers_of
from streams.commerce.demo.recount import Sent
from streams.commerce.demo.sending import send_now
from streams.commerce.demo.wire import index_of
from streams.config import Settings
from streams.engine.raw_producer import RawProducer
from streams.engine.topic_reader import follow_topics
from streams.errors import HeadraceError

RATE_PER_S = 200
_LATE_S = 15.0  # how long the last ones may take


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies in milliseconds."""

    median_ms: float
    p99_ms: float
    messages: int


@dataclass
class _Probe:
    """Shared by the two threads; each key is written once by the one, then once by the other."""

    expected: int
    ready: threading.Event = field(default_factory=threading.Event)
    sent_at: dict[int, float] = field(default_factory=dict)
    seen_at: dict[int, float] = field(default_factory=dict)
    failure: HeadraceError | None = None

    def saw(self, record: Message) -> None:
        now = time.perf_counter()
        index = index_of(headers_of(record))
        if index is not None:
            self.seen_at[index] = now

    def finished(self) -> bool:
        return len(self.seen_at) >= self.expected

    def follow(self, settings: Settings) -> None:
        # Every sound message enters exactly one of the two (order-events gets copies of the first's).
        timeout_s = self.expected / RATE_PER_S + _LATE_S
        try:
            follow_topics(
                settings,
                (EXPRESS, STANDARD),
                self.saw,
                ready=self.ready.set,
                finished=self.finished,
                timeout_s=timeout_s,
            )
        except HeadraceError as error:
            self.failure = error
        finally:
            self.ready.set()


def measure_latency(settings: Settings, messages: Sequence[DemoMessage]) -> tuple[Latency, list[Sent]]:
    """Send sound `messages` at 200/s and see when they arrive.

    Returns:
        The latency of those that arrived (the recount finds the others), and what was sent.

    Raises:
        HeadraceError: the reader failed, or nothing arrived.
    """
    probe = _Probe(len(messages))
    reader = threading.Thread(target=probe.follow, args=(settings,), name="latency-reader", daemon=True)
    reader.start()
    probe.ready.wait(_LATE_S)
    sent = _send_paced(settings, messages, probe)
    reader.join(_LATE_S)
    if probe.failure is not None:
        raise probe.failure
    latencies = [
        (seen - probe.sent_at[index]) * 1000 for index, seen in probe.seen_at.items() if index in probe.sent_at
    ]
    if not latencies:
        raise HeadraceError(f"none of {len(messages)} messages at {RATE_PER_S}/s arrived within {_LATE_S:.0f} s")
    p99 = sorted(latencies)[int(len(latencies) * 0.99)]
    return Latency(statistics.median(latencies), p99, len(latencies)), sent


def _send_paced(settings: Settings, messages: Sequence[DemoMessage], probe: _Probe) -> list[Sent]:
    with RawProducer(settings, linger_ms=0) as producer:
        sent = [send_now(producer, messages[0])]
        producer.flush()
        started_at = time.perf_counter()
        for count, message in enumerate(messages[1:]):
            time.sleep(max(0.0, started_at + count / RATE_PER_S - time.perf_counter()))
            probe.sent_at[message.index] = time.perf_counter()
            sent.append(send_now(producer, message))
            producer.serve()
    return sent
