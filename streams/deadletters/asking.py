"""Appends requests about letters to the dead letter stage's own redrive topic, from wherever they come."""

import time
from collections.abc import Callable, Iterable

from streams.config import Settings
from streams.deadletters.requests import STAGE, Request
from streams.engine.raw_producer import RawProducer
from streams.topology.names import redrive_topic

_DELIVERY_S = 10.0
_AT_A_RATE = 50  # so many are sent before the next look at the clock

OnSent = Callable[[int], None]


def append(settings: Settings, requests: Iterable[Request]) -> int:
    """Append requests, and wait until Kafka has them; returns how many.

    Raises:
        NotReachable: Kafka did not take them all; asking again does no harm.
    """
    count = 0
    with RawProducer(settings, linger_ms=5, delivery_s=_DELIVERY_S) as producer:
        for request in requests:
            send(producer, request)
            count += 1
    return count


def append_at_rate(settings: Settings, requests: Iterable[Request], rate: float | None, sent: OnSent) -> int:
    """As `append`, but no more than `rate` a second; `sent` is told now and then how many there were so far."""
    started, count = time.monotonic(), 0
    step = max(1, min(_AT_A_RATE, int(rate or _AT_A_RATE)))
    with RawProducer(settings, linger_ms=5, delivery_s=_DELIVERY_S) as producer:
        for request in requests:
            send(producer, request)
            count += 1
            if count % step == 0:
                sent(count)
                if rate is not None and (ahead_s := count / rate - (time.monotonic() - started)) > 0:
                    producer.serve()
                    time.sleep(ahead_s)
    sent(count)
    return count


def send(producer: RawProducer, request: Request) -> None:
    """Produce one request to the partition of its letter's row."""
    producer.send(
        redrive_topic(STAGE),
        None,
        str(request.letter).encode(),
        partition=request.partition,
        headers=request.headers(),
    )
