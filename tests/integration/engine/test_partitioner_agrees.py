"""Our partitioner and librdkafka's `murmur2_random` put every key into the same partition of a real topic."""

import random
from collections.abc import Callable

from streams.config import Settings
from streams.engine.partitioner import partition_of
from streams.engine.raw_producer import RawProducer
from streams.engine.topic_reader import read_topics

PARTITIONS = 7


def test_keys_are_where_librdkafka_puts_them(settings: Settings, make_topic: Callable[..., str]) -> None:
    topic = make_topic("keys", partitions=PARTITIONS)
    chance = random.Random(7)
    keys = {
        b"",
        b"\x00",
        b"\xff" * 9,
        *(chance.randbytes(n % 40) for n in range(2_000)),
        *(b"k%d" % n for n in range(99)),
    }
    with RawProducer(settings) as producer:
        for key in keys:
            producer.send(topic, b"", key, timestamp_ms=0, headers=[])
    placed: dict[bytes, int | None] = {}

    def note(records: list[object]) -> None:
        placed.update({record.key() or b"": record.partition() for record in records})  # type: ignore[attr-defined]

    read_topics(settings, [topic], note)  # type: ignore[arg-type]
    assert placed == {key: partition_of(key, PARTITIONS) for key in keys}
