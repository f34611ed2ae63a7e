"""A batch: consecutive records of one partition, handed to an agent at once, each isolated from the others.

What a record sent and wrote while it was handled stands or falls with it: a raise undoes both, makes a dead letter,
and the rest of the batch stands. Faust agents get batches from their stream.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from operator import length_hint
from typing import Any

from confluent_kafka import KafkaError, Message

from streams.engine.cycle import Cycle
from streams.engine.dead_letters import Failure, Headers, dead_letter_headers, stripped_headers
from streams.engine.stage import TP
from streams.engine.state import WriteSet
from streams.engine.stores import StoreClosed, StoreDamaged
from streams.errors import ConfigurationRefused, MessageRefused, UnreadableHeaders

# topic, value, key, partition (-1: by key), timestamp in ms (0: now), headers
Output = tuple[str, bytes | None, bytes | None, int, int, Headers | None]

# Outputs are produced while they are still in the processor's cache: a whole batch of them is several megabytes.
CHUNK_OUTPUTS = 64

_UNREADABLE = (UnreadableHeaders, SystemError)
_LONGEST_CHAIN = 20


class Batch:
    """Records of one partition in offset order.

    Attributes:
        topic: where they came from.
        partition: its partition.
        records: confluent_kafka messages; key(), value() and headers() decode only when called.
        out: what the batch puts out; on a hot path append an `Output` tuple here instead of calling `send`.
        route: the route that was matched last; names it in the dead letter of a refused produce.
        failures: dead letters by (category, route), counted for the metrics.
        buried: offsets of the records that became dead letters.
    """

    __slots__ = (
        "_cursor", "_dead_letters", "_flush", "_known_topics", "_refused", "_stage", "_stripped", "_written",
        "buried", "callbacks", "cycle", "done", "failures", "marks", "out", "partition", "records", "route",
        "topic",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        partition: int,
        records: list[Message],
        *,
        stage: str,
        dead_letters: str,
        known_topics: Mapping[str, int],
        cycle: Cycle,
        refused: Mapping[int, KafkaError] | None = None,
        stripped: frozenset[int] = frozenset(),
        traced: bool = False,
        flush: Callable[["Batch"], int] | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.records = records
        self.out: list[Output] = []
        self.route: str | None = None
        self.failures: dict[tuple[str, str | None], int] = {}
        self.buried: set[int] = set()
        self.callbacks: list[Callable[[float], None]] = []
        self.cycle = cycle
        self.marks: list[tuple[int, int]] | None = [] if traced else None
        self.done = False
        self._cursor = iter(records)
        self._flush = flush
        self._stage = stage
        self._dead_letters = dead_letters
        self._known_topics = known_topics
        self._refused = refused
        self._stripped = stripped
        self._written: list[WriteSet] = []

    def __len__(self) -> int:
        return len(self.records)

    @property
    def next_offset(self) -> int:
        """Offset after the last record: what will be committed."""
        offset = self.records[-1].offset()
        assert offset is not None  # noqa: S101 a consumed record has one
        return offset + 1

    def where(self) -> str:
        """The record that is being handled, or the batch's first: for naming what an agent does not finish."""
        handled = len(self.records) - length_hint(self._cursor)
        return f"{self.topic}/{self.partition}@{self.records[max(handled - 1, 0)].offset()}"

    def partitions_of(self, topic: str) -> int:
        """Number of partitions of a topic that this stage may send to."""
        return self._known_topics[topic]

    def state(self, table: str | Any) -> WriteSet:
        """This partition's rows of a table (its name, or a Faust table of this stage) as this cycle sees them.

        Raises:
            ConfigurationRefused: the stage has no such table.
        """
        name = table if isinstance(table, str) else table.name
        try:
            writes = self.cycle.write_set(name, self.partition)
        except KeyError:
            raise ConfigurationRefused(
                f"stage {self._stage} has no table {name} here; declare it in the stage's tables"
            ) from None
        if writes not in self._written:
            writes.settle()
            self._written.append(writes)
        return writes

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: Headers | None = None,
    ) -> None:
        """Put out a record in this cycle's transaction.

        Raises:
            MessageRefused: the topic or partition does not exist, or the stage does not declare it.
        """
        partitions = self._known_topics.get(topic)
        if partitions is None:
            raise MessageRefused(f"stage {self._stage} may not send to {topic}: not among its destinations")
        if not -1 <= partition < partitions:
            raise MessageRefused(f"{topic} has {partitions} partitions; there is no partition {partition}")
        self.out.append((topic, value, key, partition, timestamp_ms, headers))

    def after_commit(self, call: Callable[[float], None]) -> None:
        """Call `call(commit's unix time)` on the engine's thread once this batch is committed, and only then."""
        self.callbacks.append(call)

    def each(self, handle: Callable[[Message], None]) -> None:
        """Handle every record; one that raises becomes a dead letter and leaves nothing else behind.

        Raises:
            TypeError: `handle` is an `async def`, which nothing here would await.
        """
        if iscoroutinefunction(handle):
            raise TypeError("batch.each() takes a plain function, not an async one; await before or after it")
        for writes in self._written:
            writes.settle()
        if self._refused or self.marks is not None:
            self._each_traced(handle)
            return
        out = self.out
        written = self._written
        flush = self._flush
        self._cursor = iter(self.records)
        for record in self._cursor:
            mark = len(out)
            if mark >= CHUNK_OUTPUTS and flush is not None:
                mark = flush(self)
            try:
                handle(record)
            except (StoreClosed, StoreDamaged):
                raise  # the state is gone, which is no record's fault
            except Exception as error:  # noqa: BLE001 this is where any error becomes a dead letter
                self._bury(record, error, mark)
            for writes in written:
                if writes.undo:
                    writes.undo.clear()

    def finish(self) -> None:
        """Produce the rest before the agent takes the partition's next batch: outputs keep the order of records."""
        if self.out and self._flush is not None and self.marks is None and not self._refused:
            self._flush(self)

    def _each_traced(self, handle: Callable[[Message], None]) -> None:
        """As `each`, after a refused produce: notes which record put out what, and buries the convicted."""
        refused = self._refused or {}
        origin = TP(self.topic, self.partition)
        self._cursor = iter(self.records)
        for record in self._cursor:
            mark = len(self.out)
            self.route = None
            offset = record.offset()
            assert offset is not None  # noqa: S101 a consumed record has one
            try:
                handle(record)
                if offset in refused:
                    raise _conviction(refused[offset], self.route)  # noqa: TRY301 it is buried like any other
            except (StoreClosed, StoreDamaged):
                raise  # the state is gone, which is no record's fault
            except Exception as error:  # noqa: BLE001 this is where any error becomes a dead letter
                self._bury(record, error, mark)
            for writes in self._written:
                for key, _ in writes.undo:
                    writes.origins[key] = (origin, offset)
                writes.undo.clear()
            if self.marks is not None:
                self.marks.append((len(self.out), offset))

    def _bury(self, record: Message, error: Exception, mark: int) -> None:
        del self.out[mark:]
        for writes in self._written:
            writes.rollback()
        offset = record.offset()
        assert offset is not None  # noqa: S101 a consumed record has one
        self.buried.add(offset)
        failure = Failure(
            stage=self._stage,
            topic=self.topic,
            partition=self.partition,
            offset=offset,
            error=error,
            route=getattr(error, "route", None),
            failed_at=time.time(),
        )
        counted = (failure.category, failure.route)
        self.failures[counted] = self.failures.get(counted, 0) + 1
        value, timestamp_ms = record.value(), max(record.timestamp()[1], 0)
        if offset in self._stripped:
            value, headers = None, stripped_headers(failure, len(value or b""))
        else:
            headers = dead_letter_headers(_readable_headers(record, error), failure)
        self.out.append((self._dead_letters, value, record.key(), -1, timestamp_ms, headers))


def _readable_headers(record: Message, error: BaseException) -> Headers:
    """The record's headers; none where the handler could not read them.

    confluent-kafka raises SystemError on a name that is not UTF-8, and the second time gives a list that ends the
    process. So they are not asked for again after that error, however it was wrapped, nor after a bare
    UnicodeDecodeError, which may be it.
    """
    if isinstance(error, UnicodeDecodeError) or any(isinstance(each, _UNREADABLE) for each in _chain(error)):
        return []
    try:
        return list(record.headers() or ())  # type: ignore[arg-type]  # a list, never a dict, when consumed
    except (SystemError, UnicodeDecodeError):
        return []


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, a bounded way back."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _conviction(error: KafkaError, route: str | None) -> MessageRefused:
    return MessageRefused(f"the broker refused what this record put out: {error.name()}: {error.str()}", route=route)
