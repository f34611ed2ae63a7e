"""The partitions that this worker owns, and how far each is from being served.

opening (offsets are being asked for) -> restoring (tables follow their changelogs) -> running. A partition opens when
it is assigned, and again when nobody knows whether the last transaction committed. Runs on the engine's thread.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaException

from streams.engine.clients import name_of
from streams.engine.cluster import Cluster, ClusterFacts
from streams.engine.deferrals import Deferrals
from streams.engine.passed import Passed
from streams.engine.restore import Restorer
from streams.engine.sources import Sources
from streams.engine.stage import PARKED, TP, WAKEUPS, StageSpec, TableSpec
from streams.engine.state import TablePartition
from streams.engine.stores import MemoryStore, RocksStore, Store
from streams.engine.timers import Timers
from streams.errors import ConfigurationRefused
from streams.topology.connection import offset_in

log = structlog.get_logger(__name__)

OpenStore = Callable[[TableSpec, int], Store]
_ASK_AGAIN_S = 0.2
_ENDS_BY_S = 10.0  # the request's own timeout is a third of it
_MISSING_S = 5.0


class _NotKnown(Exception):
    """Kafka's answer is none: to be asked again."""


class PartitionState(StrEnum):
    """How far an owned partition is from being served."""

    OPENING = "opening"
    RESTORING = "restoring"
    RUNNING = "running"


def store_opener(kind: str, folder: Path) -> OpenStore:
    """Stores of one stage under `folder`: `rocksdb` or `memory`."""
    if kind == "memory":
        return lambda _table, _partition: MemoryStore()
    return lambda table, partition: RocksStore(folder / table.name / str(partition))


class _Opening:
    """Questions on the way for one partition."""

    __slots__ = ("_ask_at", "asked_since", "committed", "ends", "ends_by", "offsets", "reposition")

    def __init__(self, *, reposition: bool, ask_at: float = 0.0, asked_since: float | None = None) -> None:
        self.reposition = reposition
        self.asked_since = time.monotonic() if asked_since is None else asked_since
        self.committed: Future[Any] | None = None
        self.offsets: dict[TP, int] | None = None
        self.ends: dict[TP, Future[Any]] = {}
        self.ends_by = 0.0
        self._ask_at = ask_at

    def insist_on_ends(self) -> None:
        """Nobody may be waited for without a bound, an admin client least of all.

        Raises:
            _NotKnown: the changelogs' ends have been asked for long ago.
        """
        if time.monotonic() > self.ends_by:
            raise _NotKnown("nobody answers where the changelogs end")

    def ask(self, question: Callable[[int], "Future[Any]"], partition: int) -> None:
        """Ask, unless the last answer was a refusal of a moment ago."""
        if time.monotonic() >= self._ask_at:
            self.committed = question(partition)


class Ownership:
    """Opens, restores and closes what the group assigns."""

    def __init__(
        self,
        spec: StageSpec,
        cluster: Cluster,
        facts: ClusterFacts,
        sources: Sources,
        restore_conf: dict[str, Any],
        open_store: OpenStore,
    ) -> None:
        self._spec = spec
        self.deferrals = Deferrals(spec.retries, sources.stand_still, sources.go_on)
        self.timers = Timers(spec, cluster.end_offsets, self._read_to)
        self._cluster = cluster
        self._facts = facts
        self._sources = sources
        self._open_store = open_store
        self.restorer = Restorer(restore_conf, facts.cluster_id, facts.topic_ids, self._restored)
        self.states: dict[int, PartitionState] = {}
        self.tables: dict[tuple[str, int], TablePartition] = {}
        self._openings: dict[int, _Opening] = {}
        self._unrestored: dict[int, set[str]] = {}
        self.passed = Passed()
        self.tenures: dict[int, int] = {}  # of each partition that is served: another number each time it is opened
        self._next_tenure = count(1)
        self._committed: dict[int, dict[TP, int]] = {}
        self._held = bool(spec.tables or spec.followers)

    @property
    def busy(self) -> bool:
        """Whether some partition is on its way to running."""
        return bool(self._openings) or bool(self.restorer)

    @property
    def member_id(self) -> str:
        """This worker's name in the group: another one each time it joins anew under the classic protocol."""
        return self._sources.member_id

    def running(self, partition: int) -> bool:
        """Whether records of this partition may be processed."""
        return self.states.get(partition) is PartitionState.RUNNING

    def assign(self, partitions: Iterable[int]) -> None:
        """Take partitions over: they stay paused until their tables are restored and their followers placed."""
        partitions = list(partitions)
        log.info("assigned", stage=self._spec.name, partitions=partitions)
        if not self._held:
            self.states.update(dict.fromkeys(partitions, PartitionState.RUNNING))
            return
        self._sources.pause(partitions)
        for partition in partitions:
            self._open(partition, reposition=False)

    def reopen(self, partitions: Iterable[int]) -> None:
        """Nobody knows where these stand: go to the committed offsets, and restore what may have been written."""
        partitions = [partition for partition in partitions if partition in self.states]
        if not partitions:
            return
        self._sources.pause(partitions)
        self._sources.drop(partitions)
        self.deferrals.closed(partitions)
        self.timers.closed(partitions)
        self.restorer.forget(set(partitions))
        for partition in partitions:
            self._open(partition, reposition=True)

    def _open(self, partition: int, *, reposition: bool) -> None:
        self.states[partition] = PartitionState.OPENING
        earlier = self._openings.get(partition)
        self._openings[partition] = _Opening(reposition=reposition or (earlier is not None and earlier.reposition))

    def revoke(self, partitions: Iterable[int]) -> None:
        """Give partitions up: close their stores and forget them. The caller has committed or aborted."""
        gone = set(partitions)
        complete = {p for p in gone if self.running(p)}
        log.info("revoked", stage=self._spec.name, partitions=sorted(gone))
        self._sources.drop(gone)
        self.deferrals.closed(gone)
        self.timers.closed(gone)
        self._sources.forget(gone)
        self.restorer.forget(gone)
        for partition in gone:
            self.states.pop(partition, None)
            self._openings.pop(partition, None)
            self._unrestored.pop(partition, None)
            self._committed.pop(partition, None)
            self.tenures.pop(partition, None)
        self.passed.forget(gone)
        for at in [at for at in self.tables if at[1] in gone]:
            self.tables.pop(at).close(time.time(), complete=at[1] in complete)

    # -- opening

    def step(self) -> None:
        """One step of everything that is on its way; waits 20 ms at most, and only while restoring.

        Raises:
            ConfigurationRefused: the group lacks an offset.
            KafkaException: a changelog cannot be read.
        """
        for partition, opening in list(self._openings.items()):
            self._advance(partition, opening)
        if self.restorer:
            self.restorer.step()

    def _advance(self, partition: int, opening: _Opening) -> None:
        """Ask for the committed offsets, and only when they are final for the changelogs' ends.

        In this order, since a transaction that is still open when the ends are asked for could raise both later.
        """
        try:
            if opening.committed is None:
                opening.ask(self._ask_committed, partition)
            elif opening.offsets is None:
                if opening.committed.done():
                    opening.offsets = self._believed(opening.committed.result(), opening)
                    opening.ends = self._cluster.end_offsets(
                        TP(self._spec.changelog(table.name), partition) for table in self._spec.tables
                    )
                    opening.ends_by = time.monotonic() + _ENDS_BY_S
            elif not all(future.done() for future in opening.ends.values()):
                opening.insist_on_ends()
            else:
                ends = {tp: offset_in(future.result()) for tp, future in opening.ends.items()}
                del self._openings[partition]
                self._place(partition, opening.offsets, reposition=opening.reposition)
                self._restore(partition, ends)
        except (KafkaException, _NotKnown) as error:
            why = str(error) if isinstance(error, _NotKnown) else name_of(error)
            log.warning("opening a partition has to wait", partition=partition, error=why)
            self._cluster.start_again()
            self._openings[partition] = _Opening(
                reposition=opening.reposition,
                ask_at=time.monotonic() + _ASK_AGAIN_S,
                asked_since=opening.asked_since,
            )

    def _ask_committed(self, partition: int) -> "Future[Any]":
        return self._cluster.committed_offsets(TP(topic, partition) for topic in self._spec.sources)

    def _believed(self, committed: dict[TP, int], opening: _Opening) -> dict[TP, int]:
        """The group's offsets; where one is missing, only once a coordinator has said so for some seconds.

        One that has just taken over may not know yet what it will know.
        """
        missing = [tp for tp, offset in committed.items() if offset < 0]
        if not missing:
            return committed
        where = f"group {self._spec.group} has no offset for {missing[0]}"
        if time.monotonic() - opening.asked_since < _MISSING_S:
            raise _NotKnown(where)
        raise ConfigurationRefused(f"{where}; run `headrace topology apply`, which presets it")

    def _place(self, partition: int, committed: dict[TP, int], *, reposition: bool) -> None:
        lead = TP(self._spec.lead, partition)
        for table in self._spec.tables:
            at = (table.name, partition)
            if at not in self.tables:
                changelog = self._spec.changelog(table.name)
                store = self._open_store(table, partition)
                self.tables[at] = TablePartition(table, partition, changelog, store)
        if reposition:
            self._sources.seek(lead, committed[lead])
        self._committed[partition] = committed

    def _restore(self, partition: int, ends: dict[TP, int]) -> None:
        self.states[partition] = PartitionState.RESTORING
        self._unrestored[partition] = {table.name for table in self._spec.tables}
        for table in self._spec.tables:
            of = self.tables[table.name, partition]
            retention = self._facts.delete_retention_s[of.changelog]
            self.restorer.begin(of, ends[TP(of.changelog, partition)], retention)
        if not self._spec.tables:
            self._run(partition)

    def _restored(self, table: TablePartition) -> None:
        left = self._unrestored.get(table.partition)
        if left is None:
            return
        left.discard(table.spec.name)
        if not left:
            self._run(table.partition)

    def _run(self, partition: int) -> None:
        self._unrestored.pop(partition, None)
        committed = self._committed.pop(partition)
        self.passed.advance(committed)
        self.tenures[partition] = next(self._next_tenure)
        if self._spec.retries is not None:
            self.deferrals.opened(self.tables[PARKED, partition])
        if self._spec.timed:
            self.timers.opened(self.tables[WAKEUPS, partition])
        self.states[partition] = PartitionState.RUNNING
        self._sources.resume([partition])
        self._sources.follow({tp: offset for tp, offset in committed.items() if tp.topic != self._spec.lead})

    def _read_to(self, tp: TP, end: int) -> bool:
        """Whether everything before `end` was handled; markers and aborted records at the end are no records."""
        return (self.passed.last(tp) or -1) + 1 >= end or self._sources.read_to(tp) >= end

    # -- what the end of a cycle means for what waits

    def patience_s(self, longest_s: float) -> float:
        """How long to wait for records: until something that waits is due."""
        return self.timers.patience_s(self.deferrals.patience_s(longest_s))

    def committed(self) -> None:
        """What the cycle wrote is in the tables."""
        self.deferrals.committed()
        self.timers.ended()

    def rolled_back(self) -> None:
        """The cycle was given up."""
        self.deferrals.rolled_back(self.tables)
        self.timers.ended()

    def close(self) -> None:
        """Close the restore consumer and every store."""
        self.restorer.close()
        for (_, partition), table in self.tables.items():
            table.close(time.time(), complete=self.running(partition))
        self.tables.clear()
        self.states.clear()
