"""Sends the demo's messages at a steady pace."""

import time
from collections.abc import Callable, Sequence

from streams.commerce.demo.messages import SOURCE, DemoMessage
from streams.commerce.demo.recount import Sent
from streams.config import Settings
from streams.engine.raw_producer import RawProducer

PACE_PER_S = 6_000  # a router worker takes more; so what lags is what the kill costs
_CHUNK = 100


def send_paced(settings: Settings, messages: Sequence[DemoMessage], on_sent: Callable[[int], None]) -> list[Sent]:
    """Send `messages` in order at 6,000/s; `on_sent(count)` is called every hundred.

    Raises:
        NotReachable: Kafka did not take one.
    """
    sent: list[Sent] = []
    with RawProducer(settings) as producer:
        started_at = time.monotonic()
        for message in messages:
            sent.append(send_now(producer, message))
            if len(sent) % _CHUNK == 0:
                producer.serve()
                on_sent(len(sent))
                time.sleep(max(0.0, started_at + len(sent) / PACE_PER_S - time.monotonic()))
    return sent


def send_now(producer: RawProducer, message: DemoMessage) -> Sent:
    """Send `message` with the time of now.

    Raises:
        NotReachable: Kafka took none for long, or did not take an earlier one.
    """
    now_ms = time.time_ns() // 1_000_000
    producer.send(SOURCE, message.value, message.key, timestamp_ms=now_ms, headers=message.headers)
    return Sent(message, now_ms)
