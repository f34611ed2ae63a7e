"""What a chaos run sends, as a pure function of a record's number, and how it sends it."""

import io
import os
import random
import struct
import threading
import time
from decimal import Decimal

import fastavro

from streams.config import Settings
from streams.engine.partitioner import partition_of
from streams.engine.raw_producer import RawProducer
from tests.chaos.domain import FOLLOW, LEAD

INBOUND = "chaos.inbound"
KEYS = 3000
PARTITIONS = 6
_STRIDE = 100
_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "order",
        "namespace": "chaos",
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "total_amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
            {"name": "note", "type": "string"},
        ],
    }
)
_PRIORITIES = (b"high", b"normal", b"low")
# Half a day ago: brokers delete by it, refuse the future, and after a restart no longer know an idempotent producer
# whose last record is a day old (producer.id.expiration.ms), so that its retries would be doubled.
_EPOCH_MS = int(time.time() * 1000) - 43_200_000


def key_of(i: int) -> bytes:
    """A third of the keys gets most of the records, as keys do."""
    return b"K-%05d" % (i * 7919 % KEYS if i % 3 else i * 7919 % (KEYS // 3))


def is_critical(i: int) -> bool:
    """Whether the router's first route takes the record: amount over 1000 and priority high."""
    return i % 3 == 0 and i % 2000 > 1000


def value_of(i: int, schema_id: int) -> bytes:
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    order = {"order_id": key_of(i).decode(), "total_amount": Decimal(i % 2000), "note": f"{i}".rjust(40, ".")}
    fastavro.schemaless_writer(out, _SCHEMA, order)
    return out.getvalue()


def headers_of(i: int) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"%d" % i),
        ("ce_type", b"order"),
        ("ce_source", b"chaos"),
        ("ce_time", b"2026-01-01T00:00:00Z"),
        ("priority", _PRIORITIES[i % 3]),
        ("x-opaque", b"\xff\x00" + struct.pack(">I", i)),
    ]


def timestamp_of(i: int) -> int:
    return _EPOCH_MS + i


class Load(threading.Thread):
    """Sends at most `records`, half to the router and a quarter to each source of the counting stage, at a rate.

    `patience_s`: how long Kafka may be away before it gives up.
    """

    def __init__(self, settings: Settings, records: int, rate: float, schema_id: int, patience_s: float = 30) -> None:
        super().__init__(name="load", daemon=True)
        self.sent = 0
        self.error: BaseException | None = None
        self._settings = settings
        self._records = records
        self._rate = rate
        self._schema_id = schema_id
        self._enough = threading.Event()
        self._patience_s = patience_s

    def run(self) -> None:
        try:
            with RawProducer(self._settings, linger_ms=20, delivery_s=self._patience_s) as producer:
                started = time.monotonic()
                for i in range(self._records):
                    if self._enough.is_set():
                        break
                    self._send(producer, i)
                    self.sent = i + 1
                    if i % _STRIDE == 0:
                        ahead = i / self._rate - (time.monotonic() - started)
                        self._enough.wait(max(ahead, 0))  # the rate is the point
        except BaseException as error:  # noqa: BLE001 the test's own thread raises it
            self.error = error

    def stop(self) -> None:
        """End before all is sent; `sent` says how many were."""
        self._enough.set()
        self.join(self._patience_s + 10)
        if self.error is not None:
            raise self.error

    def _send(self, producer: RawProducer, i: int) -> None:
        if i % 2:
            producer.send(
                INBOUND, value_of(i, self._schema_id), key_of(i), timestamp_ms=timestamp_of(i), headers=headers_of(i)
            )
        else:
            producer.send(source_of(i), b"%d" % i, key_of(i), timestamp_ms=timestamp_of(i), headers=[])


def source_of(i: int) -> str:
    """Topic of a record of the counting stage."""
    return LEAD if i % 4 else FOLLOW


def partition(i: int) -> int:
    """Partition of a record in any topic of six."""
    return partition_of(key_of(i), PARTITIONS)


def chosen_seed() -> int:
    """SOAK_SEED, else one that nobody has chosen; tests print it."""
    return int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))


def rng(seed: int) -> random.Random:
    """The one source of randomness of a run."""
    return random.Random(seed)
