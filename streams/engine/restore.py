"""Brings table partitions up to the end of their changelogs, in batches, while other partitions go on.

The target is the READ_UNCOMMITTED end: a transaction that is still open there must end first, and a read_committed
consumer waits for it. Only a partition-EOF at or past the target is the end, since markers and aborted records take
offsets but are never delivered.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.clients import acquainted, name_of
from streams.engine.stage import TP
from streams.engine.state import TablePartition
from streams.engine.stores import Mark

log = structlog.get_logger(__name__)

_BATCH = 10_000
_WAIT_S = 0.02
_REPORT_S = 5.0
_STALE_MARGIN_S = 3600.0  # design, section 6: an hour less than delete.retention.ms


class Restoration:
    """One table partition on its way to `target`."""

    __slots__ = ("position", "reported_at", "rows", "since", "started_at", "table", "target")

    def __init__(self, table: TablePartition, position: int, target: int, since: float) -> None:
        self.table = table
        self.position = position
        self.target = target
        self.since = since  # unix seconds at which the store was last complete: what is missing may be that old
        self.rows = 0
        self.started_at = self.reported_at = time.monotonic()


class Restorer:
    """One consumer for all changelogs of a stage.

    Args:
        conf: librdkafka configuration of the restore consumer.
        cluster_id: for the marks.
        topic_ids: changelog topic -> topic id.
        done: called with a table partition when it is complete.
    """

    def __init__(
        self,
        conf: dict[str, Any],
        cluster_id: str,
        topic_ids: dict[str, str],
        done: Callable[[TablePartition], None],
    ) -> None:
        self._consumer = acquainted(Consumer(conf))
        self._cluster_id = cluster_id
        self._topic_ids = topic_ids
        self._done = done
        self._running: dict[TP, Restoration] = {}

    def __bool__(self) -> bool:
        return bool(self._running)

    def begin(self, table: TablePartition, end_offset: int, delete_retention_s: float) -> None:
        """Start restoring a table partition to `end_offset`; wipe its store first where that cannot be trusted."""
        store = table.store
        why = self._distrust(store.mark, table.changelog, end_offset, delete_retention_s)
        if why:
            log.warning("wiping a store", table=table.spec.name, partition=table.partition, reason=why)
            store.wipe()
        position = store.mark.offset if store.mark is not None else 0
        if position >= end_offset:
            if store.mark is None:
                store.apply((), self.mark(table.changelog, end_offset, time.time()))
            self._done(table)
            return
        since = store.mark.written_at if store.mark is not None else time.time()
        self._running[TP(table.changelog, table.partition)] = Restoration(table, position, end_offset, since)
        # One by one, here and below: a whole new assignment would throw away what was fetched of the others.
        self._consumer.incremental_assign([TopicPartition(table.changelog, table.partition, position)])

    def _distrust(self, mark: Mark | None, changelog: str, end: int, delete_retention_s: float) -> str:
        if mark is None:
            return ""
        if mark.cluster_id != self._cluster_id:
            return f"it is of cluster {mark.cluster_id}, this is {self._cluster_id}"
        if mark.topic_id != self._topic_ids[changelog]:
            return f"{changelog} was made anew"
        if mark.offset > end:
            return f"it stands at {mark.offset}, past the changelog's end {end}"
        if time.time() - mark.written_at > max(delete_retention_s - _STALE_MARGIN_S, 0):
            return f"it was written more than delete.retention.ms ({delete_retention_s:.0f} s) ago"
        return ""

    def mark(self, changelog: str, offset: int, written_at: float) -> Mark:
        """Mark of a store that has followed `changelog` up to `offset` and was complete at `written_at`."""
        return Mark(self._cluster_id, self._topic_ids[changelog], offset, written_at)

    def forget(self, partitions: set[int]) -> None:
        """Stop restoring partitions that moved away."""
        self._end({tp for tp in self._running if tp.partition in partitions})

    def progress(self) -> dict[TP, tuple[int, int]]:
        """(position, target) of each changelog partition that is being restored."""
        return {tp: (r.position, r.target) for tp, r in self._running.items()}

    def _end(self, tps: set[TP]) -> list[TablePartition]:
        if tps:
            self._consumer.incremental_unassign([TopicPartition(*tp) for tp in tps])
        return [self._running.pop(tp).table for tp in tps]

    def step(self) -> None:
        """Read and apply one batch; waits 20 ms at most.

        Raises:
            KafkaException: the changelog cannot be read.
        """
        rows: dict[TP, dict[bytes, bytes | None]] = {}
        ended: set[TP] = set()
        for message in self._consumer.consume(_BATCH, _WAIT_S):
            tp = TP(message.topic() or "", message.partition() or 0)
            restoration = self._running.get(tp)
            if restoration is None:
                continue
            error = message.error()
            offset = message.offset() or 0
            if error is None:
                key = message.key()
                if key is not None:
                    rows.setdefault(tp, {})[key] = message.value()
                restoration.position = offset + 1
                restoration.rows += 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 the library's name
                restoration.position = max(restoration.position, offset)
                if offset >= restoration.target:
                    ended.add(tp)
            elif not error.retriable():
                raise KafkaException(error)
            else:
                log.warning("restoring", partition=str(tp), error=name_of(KafkaException(error)))
        self._apply(rows, ended)

    def _apply(self, rows: dict[TP, dict[bytes, bytes | None]], ended: set[TP]) -> None:
        for tp in rows.keys() | ended:
            restoration = self._running[tp]
            table = restoration.table
            if restoration.position >= restoration.target:
                ended.add(tp)
            written_at = time.time() if tp in ended else restoration.since
            mark = self.mark(table.changelog, restoration.position, written_at)
            table.store.apply(rows.get(tp, {}).items(), mark)
            self._report(tp, restoration, ended=tp in ended)
        for complete in self._end(ended):
            self._done(complete)

    def _report(self, tp: TP, restoration: Restoration, *, ended: bool) -> None:
        now = time.monotonic()
        if not ended and now - restoration.reported_at < _REPORT_S:
            return
        restoration.reported_at = now
        log.info(
            "restored" if ended else "restoring",
            changelog=str(tp),
            records=restoration.rows,
            position=restoration.position,
            target=restoration.target,
            seconds=round(now - restoration.started_at, 2),
        )

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
