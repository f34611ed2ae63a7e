"""Produce to read_committed consume through the router, at a steady 200 records a second."""

import statistics
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.messages import headers
from streams.config import Settings

DESTINATIONS = ("bench.express", "bench.audit", "bench.standard")


def latency(settings: Settings, values: list[bytes], rate: float = 200, records: int = 3000) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    consumer = Consumer(
        {
            **settings.kafka_config(), "group.id": "bench-latency", "isolation.level": "read_committed",
            "enable.auto.commit": False, "fetch.wait.max.ms": 500,
        }
    )  # fmt: skip
    positions = []
    for topic in DESTINATIONS:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            of = TopicPartition(topic, partition)
            of.offset = consumer.get_watermark_offsets(of, timeout=10)[1]
            positions.append(of)
    consumer.assign(positions)
    sent: dict[bytes, float] = {}
    took: list[float] = []

    def read() -> None:
        deadline = time.monotonic() + records / rate + 30
        while len(took) < records and time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is None or message.error() or message.topic() == "bench.audit":
                continue
            at = time.monotonic()
            took.append(at - sent[dict(message.headers() or ())["ce_id"]])  # type: ignore[index]

    reader = threading.Thread(target=read)
    reader.start()
    producer = Producer({**settings.kafka_config(), "linger.ms": 0, "partitioner": "murmur2_random"})
    started = time.monotonic()
    for i in range(records):
        content = headers(i)
        sent[content[1][1]] = time.monotonic()
        producer.produce("bench.inbound", values[i % len(values)], b"K-%d" % (i % 1000), headers=content)  # type: ignore[arg-type]
        producer.poll(0)
        ahead = started + (i + 1) / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)  # the rate is the point
    producer.flush(30)
    reader.join()
    consumer.close()
    took.sort()
    return {
        "received": len(took),
        "median_ms": statistics.median(took) * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
        "max_ms": took[-1] * 1000,
    }
