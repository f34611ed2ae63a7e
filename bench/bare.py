"""The loop that the engine is compared with: confluent-kafka, transactions, the same work, nothing else.

`python -m bench.bare route|count RECORDS [skip]` consumes RECORDS from the start and prints one line of JSON: wall and
CPU seconds from the first record to the last commit. It is tuned as the engine is: the same client settings, batches,
commit interval and garbage collector.
"""

import gc
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.counting import OUT
from streams.config import Settings
from streams.engine.stores import Mark, RocksStore
from streams.messages.contracts import load_contracts
from streams.messages.skipping import compile_reader

WORLD = Path(__file__).parent / "world"
SOURCES = {"route": "bench.inbound", "count": "counts.inbound"}
CHANGELOG = "bare.changelog"


def clients(settings: Settings, job: str) -> tuple[Consumer, Producer]:
    name = f"bare-{job}-{os.getpid()}"
    producer = Producer(
        {
            **settings.kafka_config(), "transactional.id": name, "transaction.timeout.ms": 10_000, "linger.ms": 5,
            "batch.num.messages": 10_000, "batch.size": 262_144, "compression.type": "lz4",
            "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000,
        }
    )  # fmt: skip
    producer.init_transactions()
    consumer = Consumer(
        {
            **settings.kafka_config(), "group.id": name, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "queued.min.messages": 20_000, "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 50, "queued.max.messages.kbytes": 32_768,
            "partition.assignment.strategy": "cooperative-sticky", "enable.auto.offset.store": False,
        }
    )  # fmt: skip
    consumer.subscribe([SOURCES[job]])
    return consumer, producer


Work = Callable[[list[Any], dict[int, int]], None]


def routing(produce: Callable[..., None], *, skip: bool) -> Work:
    schema = load_contracts(WORLD / "schemas")["order"].parsed
    read = compile_reader(schema, "total_amount") if skip else None
    full, bytes_io = fastavro.schemaless_reader, io.BytesIO

    def work(records: list[Any], offsets: dict[int, int]) -> None:
        for record in records:
            headers = record.headers()
            value = record.value()
            critical = False
            for name, content in headers:
                if name == "priority":
                    if content == b"high":
                        amount: Any = read(value) if read else full(bytes_io(value[5:]), schema)["total_amount"]
                        critical = amount > 1000
                    break
            key, timestamp = record.key(), record.timestamp()[1]
            if critical:
                produce("bench.express", value, key, timestamp=timestamp, headers=headers)
                produce("bench.audit", value, key, timestamp=timestamp, headers=headers)
            else:
                produce("bench.standard", value, key, timestamp=timestamp, headers=headers)
            offsets[record.partition()] = record.offset() + 1

    return work


class Counts:
    """The table of the counting job: RocksDB with an overlay of the open transaction."""

    def __init__(self, produce: Callable[..., None], folder: Path) -> None:
        self._produce = produce
        self._folder = folder
        self._tables: dict[int, tuple[RocksStore, dict[bytes, int]]] = {}

    def work(self, records: list[Any], offsets: dict[int, int]) -> None:
        produce, tables = self._produce, self._tables
        for record in records:
            partition = record.partition()
            if partition not in tables:
                tables[partition] = (RocksStore(self._folder / str(partition)), {})
            store, overlay = tables[partition]
            key = record.key()
            number = overlay.get(key)
            if number is None:
                raw = store.get(key)
                number = 0 if raw is None else orjson.loads(raw)
            number += 1
            overlay[key] = number
            produce(OUT, b"%s:%d" % (record.value(), number), key)
            offsets[partition] = record.offset() + 1

    def before_commit(self) -> None:
        for partition, (_, overlay) in self._tables.items():
            for key, number in overlay.items():
                self._produce(CHANGELOG, orjson.dumps(number), key, partition)

    def after_commit(self) -> None:
        for store, overlay in self._tables.values():
            if overlay:
                store.apply([(key, orjson.dumps(number)) for key, number in overlay.items()], Mark("", "", 0, 0.0))
                overlay.clear()


def run(job: str, records: int, *, skip: bool, folder: Path) -> dict[str, float]:
    consumer, producer = clients(Settings(), job)
    counts = Counts(producer.produce, folder)
    work = counts.work if job == "count" else routing(producer.produce, skip=skip)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    done, started, cpu, opened = 0, 0.0, 0.0, 0.0
    offsets: dict[int, int] = {}
    while done < records:
        batch = consumer.consume(2000, 0)
        if not batch:
            first = consumer.poll(0.1)
            batch = [first, *consumer.consume(1999, 0)] if first is not None else []
        if batch:
            if not started:
                started, cpu = time.monotonic(), cpu_s()
            if not opened:
                producer.begin_transaction()
                opened = time.monotonic()
            work(batch, offsets)
            done += len(batch)
            producer.poll(0)
        if opened and (len(batch) < 500 or time.monotonic() - opened >= 0.1 or done >= records):
            counts.before_commit()
            producer.flush()
            positions = [TopicPartition(SOURCES[job], p, offset) for p, offset in offsets.items()]
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
            producer.commit_transaction()
            counts.after_commit()
            offsets, opened = {}, 0.0
    return {"records": done, "wall_s": time.monotonic() - started, "cpu_s": cpu_s() - cpu}


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    result = run(sys.argv[1], int(sys.argv[2]), skip="skip" in sys.argv, folder=Path(os.environ["HEADRACE_STATE_DIR"]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # what is timed is over; closing the clients is not
