"""Handles a batch's records with coroutines, several keys at once, each record apart from the others.

A record's outputs and writes are its own until it has been handled; then they join the batch whole, or not at all.
Records of one key are handled one after the other, and their outputs keep their order.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from confluent_kafka import Message

from streams.engine.deferral import FULL_S
from streams.engine.parked_record import ParkedRecord
from streams.engine.state import WriteSet
from streams.engine.stores import StoreClosed, StoreDamaged

if TYPE_CHECKING:
    from streams.engine.batch import Batch, Output
    from streams.engine.dead_letters import Headers

WITHIN_S = 4.0  # half of what an agent has for everything that it was handed; the other half is for what was begun

_ABSENT = object()


class ScopedRows:
    """A table as one record sees it: its own writes on top of the cycle's."""

    __slots__ = ("_rows", "_writes")

    def __init__(self, writes: WriteSet) -> None:
        self._writes = writes
        self._rows: dict[bytes, bytes | None] = {}

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of `key`; `default` where there is none."""
        raw: Any = self._rows.get(key, _ABSENT)
        if raw is _ABSENT:
            return self._writes.get(key, default)
        return default if raw is None else orjson.loads(raw)

    def set(self, key: bytes, value: Any) -> None:
        """Write a JSON-able value.

        Raises:
            TypeError: the value is not JSON-able.
        """
        self._rows[key] = orjson.dumps(value)

    def delete(self, key: bytes) -> None:
        """Remove a row."""
        self._rows[key] = None

    def join(self) -> None:
        """Let the writes stand."""
        for key, raw in self._rows.items():
            if raw is None:
                self._writes.delete(key)
            else:
                self._writes.set_raw(key, raw)


class RecordScope:
    """What one record sends and writes while others are handled beside it."""

    __slots__ = ("_batch", "_tables", "out")

    def __init__(self, batch: "Batch") -> None:
        self._batch = batch
        self._tables: dict[str, ScopedRows] = {}
        self.out: list[Output] = []

    def state(self, table: str) -> ScopedRows:
        """This partition's rows of a table; the record may touch only those of its key."""
        if table not in self._tables:
            self._tables[table] = ScopedRows(self._batch.state(table))
        return self._tables[table]

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: "Headers | None" = None,
    ) -> None:
        """Put out a record, if this one is handled without an error.

        Raises:
            MessageRefused: as `Batch.send`.
        """
        self._batch.check_destination(topic, partition)
        self.out.append((topic, value, key, partition, timestamp_ms, headers))

    def join(self) -> None:
        """Let everything stand."""
        self._batch.out.extend(self.out)
        for rows in self._tables.values():
            rows.join()


AsyncHandle = Callable[[Message, RecordScope], Awaitable[None]]


async def handle_concurrently(batch: "Batch", handle: AsyncHandle, concurrency: int, within_s: float) -> None:
    """See `Batch.each_async`."""
    end = batch.cycle.share_until(within_s)
    running: dict[bytes, asyncio.Task[None]] = {}
    try:
        records = iter(batch.records)
        for record in records:
            queue = _queue_of(batch, record)
            while queue in running or len(running) >= _at_once(batch, concurrency):
                waited_for = [running[queue]] if queue in running else list(running.values())
                await _first_of(waited_for, running)
            if _must_stop(batch, record, end):
                for left in records:
                    batch.put_back(left)
                break
            if _is_turn_of(batch, record):
                running[queue] = asyncio.ensure_future(_handle(batch, handle, record))
        while running:
            await _first_of(list(running.values()), running)
    finally:
        for task in running.values():
            task.cancel()


def _at_once(batch: "Batch", concurrency: int) -> int:
    return 1 if batch.deferral is not None and batch.deferral.probing else concurrency


async def _first_of(tasks: list["asyncio.Task[None]"], running: dict[bytes, "asyncio.Task[None]"]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for queue in [queue for queue, task in running.items() if task in done]:
        running.pop(queue).result()


def _queue_of(batch: "Batch", record: Message) -> bytes:
    if batch.deferral is not None:
        return batch.deferral.queue_of(record)
    key = record.key()
    return b"~%d" % (record.offset() or 0) if key is None else b"=" + key


def _must_stop(batch: "Batch", record: Message, end: float) -> bool:
    """Whether this record and those after it are left for a later cycle."""
    deferral = batch.deferral
    if batch.cycle.dead or batch.halted_before(record):
        batch.put_back(record)
        return True
    if deferral is not None and deferral.stands_still is not None:
        until, outage = deferral.stands_still
        batch.stop_before(record, until, outage=outage)
        return True
    now = time.monotonic()
    if now >= end:
        batch.stop_before(record, now, outage=False)
        return True
    # One that fails is parked in any case, so there has to be room; a parked one has it already.
    if deferral is not None and not isinstance(record, ParkedRecord) and not deferral.has_room():
        batch.stop_before(record, now + FULL_S, outage=False)
        return True
    return False


def _is_turn_of(batch: "Batch", record: Message) -> bool:
    try:
        return batch.is_turn_of(record)
    except Exception as error:  # noqa: BLE001 it says why the record becomes a letter
        batch.fail(record, error, len(batch.out), concurrent=True)
        return False
    finally:
        batch.trace(record.offset() or 0)


async def _handle(batch: "Batch", handle: AsyncHandle, record: Message) -> None:
    scope = RecordScope(batch)
    offset = record.offset() or 0
    try:
        await handle(record, scope)
        if batch.cycle.dead:
            return
        if conviction := batch.convicted(offset):
            raise conviction  # noqa: TRY301 it is buried like any other
        scope.join()
        if batch.deferral is not None:
            batch.deferral.handled(record)
    except (StoreClosed, StoreDamaged):
        raise  # the state is gone, which is no record's fault
    except Exception as error:  # noqa: BLE001 this is where any error is judged
        batch.fail(record, error, len(batch.out), concurrent=True)
    batch.trace(offset)
