"""The stage's thread: poll, hand batches to the agents, produce what they put out, commit. One transaction a cycle.

Owns every Kafka client of the stage. The agents run on the event loop; this thread waits for them, so nothing is in
flight when a rebalance callback runs (inside a poll) or a transaction ends.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog
from confluent_kafka import KafkaException

from streams.config import Settings
from streams.engine import clients
from streams.engine.arrival import arrive
from streams.engine.batching import Batching
from streams.engine.clients import Verdict
from streams.engine.cluster import Cluster
from streams.engine.cycle import AgentFailed, Cycle
from streams.engine.handover import Deliver, Handover
from streams.engine.health import Health
from streams.engine.lease import Lease
from streams.engine.meter import Meter
from streams.engine.ownership import OpenStore, Ownership
from streams.engine.producer import TransactionAborted, TransactionalProducer, transaction_aborted
from streams.engine.sources import MembershipFenced, Runs, Sources
from streams.engine.stage import TP, StageSpec
from streams.engine.verdicts import Verdicts

log = structlog.get_logger(__name__)

COMMIT_INTERVAL_S = 0.1
IDLE_POLL_S = 0.1  # a rebalance, a stop and a status wait for its end: librdkafka serves them inside the poll
JOINING_POLL_S = 0.02  # the first assignment is what a restarted worker's partitions wait for
SAMPLE_S = 1.0
JOIN_S = 10.0  # a member that has no partition by then stands by
FOLLOWERS_COMMIT_S = 86_400 / 2  # at least daily; offsets.retention.minutes is a week by default


def _nothing() -> None:
    """A stage with nothing to prepare."""


class StageLoop:
    """One stage's engine.

    Args:
        spec: the stage.
        settings: where Kafka is and who this worker is.
        deliver: hands batches to the agents; called on this thread.
        open_store: makes a table partition's store.
        ended: called on this thread when it is over, with the error that ended it or None.
        prepare: called on this thread when the cluster is there, before the stage joins its group; it may read
            from the cluster, and is called again while that is not reachable.
    """

    def __init__(
        self,
        spec: StageSpec,
        settings: Settings,
        deliver: Deliver,
        open_store: OpenStore,
        ended: Callable[[BaseException | None], None],
        prepare: Callable[[], None] = _nothing,
    ) -> None:
        self.spec = spec
        self.meter = Meter(spec.name)
        self.health = Health(spec.name, self.meter)
        self.lease = Lease(renewable=not spec.static_membership)
        self._settings = settings
        self._open_store = open_store
        self._ended = ended
        self._prepare = prepare
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"engine-{spec.name}", daemon=True)
        self._cycle: Cycle | None = None
        self._handover = Handover(deliver, self._stop)
        self._positions: dict[TP, int] = {}
        self._verdicts = Verdicts(spec, settings.instance_id)
        self._sampled_at = 0.0
        self._followers_committed_at = 0.0
        self._joining_until: float | None = None

    # -- life, called from other threads

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to commit and end; `join` waits for it."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it has not come in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def ownership(self) -> Ownership | None:
        """What is owned now; None before the cluster was reached."""
        return getattr(self, "_ownership", None)

    @property
    def partition_count(self) -> int:
        """Partitions of the lead; 0 before the cluster was reached."""
        known: Mapping[str, int] = getattr(self, "_known", {})
        return known.get(self.spec.lead, 0)

    # -- the thread

    def _main(self) -> None:
        error: BaseException | None = None
        try:
            if self._open():
                while not self._stop.is_set():
                    self._turn()
            self.health.become("stopping")
        except BaseException as failure:  # noqa: BLE001 whatever it is, the worker has to hear of it
            error = failure
            self.health.become("failed", str(failure) or repr(failure))
        try:
            self._close()
        except (KafkaException, SystemError, RuntimeError) as failure:
            log.warning("closing the stage", stage=self.spec.name, error=repr(failure))
        if error is None:
            self.health.become("stopped")
        self._ended(error)

    def _open(self) -> bool:
        """Reach the cluster, check its topics, fence predecessors, join the group; False when stopped meanwhile."""
        health, stopping = self.health, self._stop.is_set
        cluster = Cluster(self._settings, self.spec, health.on_client_error("admin"))
        facts = arrive(cluster, self.spec, self._prepare, health, stopping)
        if facts is None:
            return False
        health.become("starting", "joining its consumer group")
        self._known: Mapping[str, int] = facts.partitions
        on_error = health.on_client_error("producer")
        conf = clients.producer_config(self._settings, self.spec, on_error, batch_size=facts.batch_size)
        self._producer = TransactionalProducer(conf, stopping, health.wait_for)
        if not self._producer.open():
            return False
        on_error = health.on_client_error("consumer")
        self._sources = Sources(self.spec, self._settings, on_error)
        restore_conf = clients.restore_config(self._settings, self.spec, on_error)
        self._ownership = Ownership(self.spec, cluster, facts, self._sources, restore_conf, self._open_store)
        deferrals = self._ownership.deferrals
        self._batching = Batching(
            self.spec, self._known, self._verdicts, self._producer, deferrals, self._ownership.timers
        )
        self._sources.subscribe(self._on_assigned, self._on_revoked, self._on_lost)
        return True

    def _turn(self) -> None:
        """One poll and what follows from it."""
        timers = self._ownership.timers.ready()  # before there are records in hand that might be what they wait for
        self.health.doing("waiting for records")
        self._ownership.step()  # with no records in hand: it moves followers to where they have been processed
        before = {p for p in self._ownership.states if self._ownership.running(p)}
        try:
            runs = self._sources.receive(self._verdicts.poll_records, self._patience_s())
        except MembershipFenced as fenced:
            self._rejoin(fenced)
            return
        try:
            runs = self._accepted(runs, before)
            self._ownership.deferrals.go_on()
            drained = sum(len(run) for _, run in runs) < self._verdicts.poll_records // 4
            if runs or timers or self._ownership.deferrals.work():
                self._process(runs, timers)
            cycle = self._cycle
            if cycle is not None and (drained or cycle.age_s() >= COMMIT_INTERVAL_S):
                self._commit(cycle)
            elif cycle is None:
                self._commit_followers()
        except (TransactionAborted, AgentFailed, KafkaException, SystemError) as error:
            self._abort(error)
        self._sample()

    def _patience_s(self) -> float:
        if self._ownership.busy:
            return 0.0 if self._ownership.restorer else 0.01
        if self._cycle is not None:
            return max(0.0, COMMIT_INTERVAL_S - self._cycle.age_s())
        longest_s = IDLE_POLL_S if self._ownership.states else JOINING_POLL_S
        return self._ownership.patience_s(longest_s)

    def _accepted(self, runs: Runs, before: set[int]) -> Runs:
        """Runs of partitions that were ours before and after the poll; the others are fetched again."""
        strange = {tp.partition for tp, run in runs if not self._expected(tp, run, before)}
        strange |= self._sources.take_unplaced()
        if not strange:
            return runs
        if self._cycle is not None and any(tp.partition in strange for tp in self._cycle.first):
            raise TransactionAborted("error", f"partitions {strange} moved under an open cycle", outcome_known=False)
        self._ownership.reopen(strange)
        return [(tp, run) for tp, run in runs if tp.partition not in strange]

    def _expected(self, tp: TP, run: list[Any], before: set[int]) -> bool:
        position = self._positions.get(tp)
        in_order = position is None or run[0].offset() >= position
        return in_order and tp.partition in before and self._ownership.running(tp.partition)

    # -- a cycle

    def _process(self, runs: Runs, timers: Mapping[int, int]) -> None:
        self.health.doing("")  # agents have their own bound, and are not Kafka
        self._handover.await_late()
        cycle = self._cycle or self._begin()
        for tp, run in runs:
            cycle.first.setdefault(tp, run[0].offset() or 0)
        ours = self._batching.returned(runs, cycle)
        batches = self._batching.for_agents(runs, cycle) + self._batching.fired(timers, cycle)
        if batches:
            self._handover.run(cycle, batches)
        batches = [*ours, *batches, *self._batching.buried(cycle)]
        for batch in batches:
            self._producer.put_out(batch)
            cycle.keep(batch)
        self._ownership.deferrals.halt(cycle.halted)
        for tp, offset in cycle.next.items():
            self._positions[tp] = offset
            self._sources.passed(tp, offset)
        self.meter.handled(len(batches))
        self._producer.poll()

    def _begin(self) -> Cycle:
        self._producer.begin()
        self._cycle = Cycle(self._ownership.tables)
        return self._cycle

    def _commit(self, cycle: Cycle) -> None:
        self.health.doing("waiting for Kafka to commit")
        started, proven_at = time.monotonic(), self.lease.now()
        ends: dict[tuple[str, int], int] = {}
        for at, writes in cycle.write_sets.items():
            if writes.rows:
                self._producer.put_changelog(writes, partial(ends.__setitem__, at), traced=self._verdicts.traced)
        offsets = dict(cycle.next)
        followers_due = self._followers_due()
        if followers_due:
            offsets = {**self._sources.followed(), **offsets}
        self._producer.commit(offsets.items(), self._sources.group_metadata())
        self.lease.renew(proven_at)
        now = time.time()
        self._cycle = None
        self._write_stores(cycle, ends, now)
        self._ownership.committed()
        for call in cycle.callbacks:
            call(now)
        self._verdicts.committed(cycle.next)
        if followers_due:
            self._followers_committed_at = time.monotonic()
        self.meter.committed(cycle.records, cycle.letters, cycle.age_s(), time.monotonic() - started)

    def _write_stores(self, cycle: Cycle, ends: Mapping[tuple[str, int], int], now: float) -> None:
        restorer = self._ownership.restorer
        for at, writes in cycle.write_sets.items():
            if writes.rows:
                table = writes.table
                table.store.apply(writes.in_bytes().items(), restorer.mark(table.changelog, ends[at] + 1, now))
        self._ownership.passed.advance(cycle.next)

    def _followers_due(self) -> bool:
        return bool(self.spec.followers) and time.monotonic() - self._followers_committed_at > FOLLOWERS_COMMIT_S

    def _commit_followers(self) -> None:
        """Keep idle followers' offsets: the broker forgets those of topics that a group does not subscribe to."""
        if self._followers_due() and not self._ownership.busy and self._sources.followed():
            self._commit(self._begin())

    # -- when a cycle fails

    def _abort(self, error: Exception, reason: str = "") -> None:
        """Undo the cycle; its records come again, from where they began or from the committed offsets."""
        cycle, self._cycle = self._cycle, None
        self.lease.drop()
        if cycle is not None:
            cycle.die()
            self._ownership.rolled_back()
        self.health.doing("waiting for Kafka to abort")
        if isinstance(error, KafkaException | SystemError):
            error = transaction_aborted(error, outcome_known=True)
        reason = reason or getattr(error, "reason", "error")
        log.warning("aborting", stage=self.spec.name, reason=reason, error=_described(error))
        self.meter.aborted(reason)
        refused, others = dict(self._producer.refused), frozenset(self._producer.other_errors)
        self._verdicts.judge(error, reason, refused, others)
        fenced = isinstance(error, TransactionAborted) and error.verdict is Verdict.FENCED
        clean = not fenced and self._producer.abort()
        if not clean and not self._producer.open():
            return
        if clean and cycle is not None and getattr(error, "outcome_known", True):
            for tp, offset in cycle.first.items():
                self._positions[tp] = offset
                self._sources.seek(tp, offset)
        else:
            self._positions.clear()
            self._ownership.reopen(list(self._ownership.states))
        self._verdicts.back_off(self._stop.wait)

    # -- rebalances: called inside receive() and close()

    def _on_assigned(self, partitions: list[int]) -> None:
        self._forget_positions(partitions)
        self._ownership.assign(partitions)

    def _on_revoked(self, partitions: list[int]) -> None:
        cycle = self._cycle
        if cycle is not None:
            try:
                self._commit(cycle)
            except (TransactionAborted, KafkaException, SystemError) as error:
                self._abort(error, "revoked")
        self._ownership.revoke(partitions)
        self._forget_positions(partitions)

    def _on_lost(self, partitions: list[int]) -> None:
        if self._cycle is not None:
            self._abort(AgentFailed("lost", f"partitions {partitions} went to another worker"))
        self._ownership.revoke(partitions)
        self._forget_positions(partitions)

    def _rejoin(self, fenced: MembershipFenced) -> None:
        """Become a member again: where no other worker has this instance id, nobody is meant."""
        log.warning("fenced out of its group; joining again", stage=self.spec.name, error=str(fenced))
        self._on_lost(list(self._ownership.states))
        self._verdicts.fenced_out(time.monotonic())
        self._sources.rejoin()

    def _forget_positions(self, partitions: list[int]) -> None:
        self._positions = {tp: at for tp, at in self._positions.items() if tp.partition not in partitions}

    # -- the end, and what is told

    def _close(self) -> None:
        ownership = self.ownership
        if ownership is None:
            return
        cycle = self._cycle
        if cycle is not None:
            try:
                if self.health.state == "failed":
                    self._producer.abort()
                    self._cycle = None
                else:
                    self._commit(cycle)
            except (TransactionAborted, KafkaException, SystemError) as error:
                log.warning("the last cycle will run again", stage=self.spec.name, error=_described(error))
                self._cycle = None
                self._producer.abort()
        self._sources.close()
        ownership.close()
        self._producer.discard()
        self.meter.show_lags({})

    def _sample(self) -> None:
        """Once a second, and when partitions have opened: state, lags and restore progress, for status and /metrics."""
        now, ownership = time.monotonic(), self._ownership
        opened = self.health.state != "running" and bool(ownership.states) and not ownership.busy
        if now - self._sampled_at < SAMPLE_S and not opened:
            return
        self._sampled_at = now
        if self._joining_until is None:
            self._joining_until = now + JOIN_S
        if self.health.brokers_down:
            self.health.wait_for("waiting for Kafka: no broker answers")
        elif self._verdicts.trying_again:
            self.health.wait_for(f"trying again, no cycle has succeeded since: {self._verdicts.trying_again}")
        elif ownership.busy:
            self.health.become("restoring", "restoring its tables")
        elif outage := ownership.deferrals.outage():
            self.health.become("waiting", outage)
        elif ownership.states:
            self.health.become("running")
        elif now > self._joining_until:  # others own all partitions; this one takes over when one of them goes
            self.health.become("running", "owns no partition")
        self.meter.sample(self.spec, ownership, self._sources, self._positions)


def _described(error: BaseException) -> str:
    if isinstance(error, AgentFailed) and error.__cause__ is not None:
        return f"{error}: {error.__cause__!r}"
    return str(error) or repr(error)
