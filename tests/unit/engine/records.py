"""Records as a consumer gives them, and batches of them, without a broker: both classes are the real ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, Message

from streams.engine.batch import Batch
from streams.engine.cycle import Cycle
from streams.engine.stage import TableSpec
from streams.engine.state import TablePartition
from streams.engine.stores import MemoryStore

SOURCE, OUT, LETTERS, TABLE = "orders", "out", "headrace.counting.dlq", "counts"
PARTITION, TIMESTAMP_MS = 2, 1_790_000_000_000
KNOWN = {OUT: 4, LETTERS: 4, SOURCE: 4}


def record(
    offset: int,
    value: bytes | None = b"v",
    headers: Sequence[tuple[str, bytes | None]] = (),
    key: bytes | None = None,
    *,
    keyed: bool = True,
) -> Message:
    make: Any = Message  # the stubs do not know that it can be made
    made: Message = make(
        topic=SOURCE,
        partition=PARTITION,
        offset=offset,
        key=(b"k%d" % offset if key is None else key) if keyed else None,
        value=value,
        headers=list(headers) or None,
        timestamp=(1, TIMESTAMP_MS),
    )
    return made


def table() -> TablePartition:
    return TablePartition(TableSpec(TABLE), PARTITION, "headrace.counting.counts.changelog", MemoryStore())


def new_cycle(of: TablePartition | None = None) -> Cycle:
    return Cycle({(TABLE, PARTITION): of or table()})


def batch_of(
    records: Sequence[Message],
    cycle: Cycle | None = None,
    *,
    refused: Mapping[int, KafkaError] | None = None,
    traced: bool = False,
) -> Batch:
    return Batch(
        SOURCE,
        PARTITION,
        list(records),
        stage="counting",
        dead_letters=LETTERS,
        known_topics=KNOWN,
        cycle=cycle or new_cycle(),
        refused=refused,
        traced=traced,
    )
