"""A batch: consecutive records of one partition, handed to an agent at once, each isolated from the others.

What a record sent and wrote while it was handled stands or falls with it: a raise undoes both, makes a dead letter,
and the rest of the batch stands. Faust agents get batches from their stream.
"""

import time
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from operator import length_hint
from typing import Any

import orjson
from confluent_kafka import KafkaError, Message

from streams.engine.concurrency import WITHIN_S, AsyncHandle, handle_concurrently
from streams.engine.cycle import Cycle
from streams.engine.dead_letters import Failure, Headers, dead_letter_headers, stripped_headers
from streams.engine.deferral import Deferral, Halt, Turn
from streams.engine.failed_headers import is_unreadable, readable_headers
from streams.engine.parked_record import Consumed, ParkedRecord
from streams.engine.parking import Spent
from streams.engine.stage import TP, WAKEUPS
from streams.engine.state import WriteSet
from streams.engine.stores import StoreClosed, StoreDamaged
from streams.engine.wakeups import Wakeup, cancel_wakeup, set_wakeup
from streams.errors import ConfigurationRefused, KeyHeld, MessageRefused, category_of

# topic, value, key, partition (-1: by key), timestamp in ms (0: now), headers
Output = tuple[str, bytes | None, bytes | None, int, int, Headers | None]

# Outputs are produced while they are still in the processor's cache: a whole batch of them is several megabytes.
CHUNK_OUTPUTS = 64


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
        skipped: offsets of records that wait; their handling comes later.
        handled: how many records this batch is through with.
    """

    __slots__ = (
        "_cursor", "_dead_letters", "_deferral", "_flush", "_halted_at", "_known_topics", "_refused", "_stage",
        "_stripped", "_written", "buried", "callbacks", "cycle", "done", "failures", "marks", "out", "partition",
        "records", "route", "skipped", "topic",
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
        deferral: Deferral | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.records = records
        self.out: list[Output] = []
        self.route: str | None = None
        self.failures: dict[tuple[str, str | None], int] = {}
        self.buried: set[int] = set()
        self.skipped: set[int] = set()
        self.callbacks: list[Callable[[float], None]] = []
        self.cycle = cycle
        self.marks: list[tuple[int, int]] | None = [] if traced else None
        self.done = False
        self._cursor = iter(records)
        self._deferral = deferral
        self._halted_at: int | None = None
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
    def deferral(self) -> Deferral | None:
        """Which records have to wait; None where the stage has no retry policy."""
        return self._deferral

    @property
    def next_offset(self) -> int | None:
        """Offset after the last record: what will be committed; None where that changes nothing."""
        if self._halted_at is not None:
            return self._halted_at
        if not self.records or isinstance(self.records[0], ParkedRecord | Wakeup):
            return None
        return _offset_of(self.records[-1]) + 1

    @property
    def handled(self) -> int:
        """How many records this batch is through with."""
        if self._halted_at is None:
            return len(self.records)
        return sum(_offset_of(record) < self._halted_at for record in self.records)

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
        self.check_destination(topic, partition)
        self.out.append((topic, value, key, partition, timestamp_ms, headers))

    def check_destination(self, topic: str, partition: int = -1) -> None:
        """Refuse a topic or partition that this stage cannot send to.

        Raises:
            MessageRefused: it does not exist, or the stage does not declare it.
        """
        partitions = self._known_topics.get(topic)
        if partitions is None:
            raise MessageRefused(f"stage {self._stage} may not send to {topic}: not among its destinations")
        if not -1 <= partition < partitions:
            raise MessageRefused(f"{topic} has {partitions} partitions; there is no partition {partition}")

    def wake(self, name: bytes, due_ms: int, payload: object = None) -> None:
        """Set the timer `name` of this partition, or move it: `payload` comes back when it fires (see timers.py).

        It fires at `due_ms` (unix milliseconds) or later, when this partition has been read as far as it went then.
        """
        set_wakeup(self.state(WAKEUPS), name, due_ms, payload)

    def cancel(self, name: bytes) -> bool:
        """Cancel the timer `name` of this partition; False where none is set."""
        return cancel_wakeup(self.state(WAKEUPS), name)

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
        self._cursor = iter(self.records)
        careful = self._refused or self.marks is not None or not (self._deferral is None or self._deferral.idle)
        if careful or not self._each_quickly(handle):
            self._each_carefully(handle)

    def _each_quickly(self, handle: Callable[[Message], None]) -> bool:
        """The rest of `each` as long as nothing fails; False where what follows has to be looked at."""
        out = self.out
        written = self._written
        flush = self._flush
        for record in self._cursor:
            mark = len(out)
            if mark >= CHUNK_OUTPUTS and flush is not None:
                mark = flush(self)
            try:
                handle(record)
            except (StoreClosed, StoreDamaged):
                raise  # the state is gone, which is no record's fault
            except Exception as error:  # noqa: BLE001 this is where any error is judged
                self.fail(record, error, mark)
                if self._deferral is not None and not self._deferral.idle:  # what follows may have to wait
                    self.trace(_offset_of(record))
                    return False
            for writes in written:
                if writes.undo:
                    writes.undo.clear()
        return True

    async def each_async(self, handle: AsyncHandle, *, concurrency: int = 1, within_s: float = WITHIN_S) -> None:
        """Handle every record with a coroutine, up to `concurrency` of different keys at once.

        What a record sends and writes goes through its scope and takes effect when it has been handled; it may touch
        only its own key's rows. Records without a key have no order. `within_s` seconds after the hand-over no further
        one is begun, and the batches of a hand-over have equal shares of them: the rest comes in the next cycle. What
        was begun is awaited; `handle` has to bound its own waits.
        """
        await handle_concurrently(self, handle, concurrency, within_s)

    def finish(self) -> None:
        """Produce the rest before the agent takes the partition's next batch: outputs keep the order of records."""
        if self.out and self._flush is not None and self.marks is None and not self._refused:
            self._flush(self)

    def _each_carefully(self, handle: Callable[[Message], None]) -> None:
        """The rest of `each`, where keys have trouble or the broker has refused something.

        Notes which record put out what, and buries the convicted.
        """
        for record in self._cursor:
            if self._stands_still(record):
                for left in (record, *self._cursor):
                    self.put_back(left)
                return
            mark = len(self.out)
            self.route = None
            offset = _offset_of(record)
            try:
                if self.is_turn_of(record):
                    handle(record)
                    if conviction := self.convicted(offset):
                        raise conviction  # noqa: TRY301 it is buried like any other
                    if self._deferral is not None:
                        self._deferral.handled(record)
            except (StoreClosed, StoreDamaged):
                raise  # the state is gone, which is no record's fault
            except Exception as error:  # noqa: BLE001 this is where any error is judged
                self.fail(record, error, mark)
            self.trace(offset)

    def halted_before(self, record: Message) -> bool:
        """Whether this partition was halted before this record, by this batch or an earlier one of the cycle."""
        tp = TP(self.topic, self.partition)
        if self._halted_at is None and tp in self.cycle.halted and not isinstance(record, ParkedRecord | Wakeup):
            self._halted_at = self.cycle.halted[tp].offset
        return self._halted_at is not None

    def _stands_still(self, record: Message) -> bool:
        deferral = self._deferral
        return deferral is not None and (self.halted_before(record) or deferral.stands_still is not None)

    def is_turn_of(self, record: Message) -> bool:
        """Whether this record is to be handled now; False where it waits, or the partition stands still."""
        if self._deferral is None:
            return True
        turn = self._deferral.turn_of(record)
        if turn is Turn.HALT:
            self._halt(record)
        elif turn is Turn.WAIT:
            self.skipped.add(_offset_of(record))
        return turn is Turn.HANDLE

    def _halt(self, record: Message) -> None:
        """Stop before this record; a parked one is not lost by it, and tried again when it is due."""
        assert self._deferral is not None  # noqa: S101 only it halts
        assert self._deferral.stands_still is not None  # noqa: S101 the caller looked
        until, outage = self._deferral.stands_still
        self.skipped.add(_offset_of(record))
        self.stop_before(record, until, outage=outage)

    def trace(self, offset: int) -> None:
        """Note what the record at `offset` wrote and put out: the cycle may run because of what a broker refused."""
        origin = TP(self.topic, self.partition), offset
        written = self._written if self._deferral is None else [*self._written, self._deferral.rows]
        for writes in written:
            for key, _ in writes.undo:
                writes.origins[key] = origin
            writes.undo.clear()
        if self.marks is not None:
            self.marks.append((len(self.out), offset))

    def stop_before(self, record: Message, until: float, *, outage: bool) -> None:
        """Handle nothing from this record on; the partition goes on with it at `until` (monotonic seconds)."""
        self.put_back(record)
        if not isinstance(record, ParkedRecord | Wakeup):
            self._halted_at = _offset_of(record)
            self.cycle.halted[TP(self.topic, self.partition)] = Halt(self._halted_at, until, outage)

    def put_back(self, record: Message) -> None:
        """A timer that fires and is not handled now is set again; other records stay where they are."""
        if isinstance(record, Wakeup):
            writes = self.state(WAKEUPS)
            set_wakeup(writes, record.name, record.due_ms, orjson.loads(record.payload))
            writes.settle()

    def convicted(self, offset: int) -> MessageRefused | None:
        """What the broker has said of the outputs of the record at `offset`."""
        error = (self._refused or {}).get(offset)
        return None if error is None else _conviction(error, self.route)

    def fail(self, record: Message, error: Exception, mark: int, *, concurrent: bool = False) -> None:
        """Undo what a failed record sent and wrote; it waits for another try, or becomes a dead letter."""
        del self.out[mark:]
        for writes in self._written:
            writes.rollback()
        spent = Spent(1, 0)
        deferral = self._deferral
        if isinstance(error, KeyHeld):
            spent = Spent(0, 0)
        elif deferral is not None:
            unreadable = is_unreadable(error)
            headers = None if unreadable else readable_headers(record, error)
            judged = deferral.failed(record, category_of(error), headers, concurrent=concurrent)  # type: ignore[arg-type]  # bytes when consumed
            if judged is None:
                if deferral.stands_still is not None and not concurrent:
                    self._halt(record)
                self.skipped.add(_offset_of(record))
                return
            spent = judged
        self.bury(record, error, spent)

    def bury(self, record: Message, error: Exception, spent: Spent) -> None:
        """Put out the dead letter of a record."""
        offset = _offset_of(record)
        self.buried.add(offset)
        now = time.time()
        failure = Failure(
            stage=self._stage,
            topic=self.topic,
            partition=self.partition,
            offset=offset,
            error=error,
            route=getattr(error, "route", None),
            failed_at=now,
            first_failed_at=spent.since_ms / 1000 or now,
            attempts=spent.attempts,
        )
        counted = (failure.category, failure.route)
        self.failures[counted] = self.failures.get(counted, 0) + 1
        value, timestamp_ms = record.value(), max(record.timestamp()[1], 0)
        if offset in self._stripped:
            value, headers = None, stripped_headers(failure, len(value or b""))
        else:
            headers = dead_letter_headers(readable_headers(record, error), failure)
        key = record.key()
        # Without a key it always has the same one all the same, so that a letter that fails again is found.
        letters = self._known_topics.get(self._dead_letters)
        partition = -1 if key is not None or not letters else self.partition % letters
        self.out.append((self._dead_letters, value, key, partition, timestamp_ms, headers))


def _offset_of(record: Consumed) -> int:
    offset = record.offset()
    assert offset is not None  # noqa: S101 a consumed record has one
    return offset


def _conviction(error: KafkaError, route: str | None) -> MessageRefused:
    return MessageRefused(f"the broker refused what this record put out: {error.name()}: {error.str()}", route=route)
