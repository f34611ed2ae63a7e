"""The demo from beginning to end: each step says what it does, and nothing outlives it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.commerce.demo.fleet import Fleet, Murder
from streams.commerce.demo.latency import measure_latency
from streams.commerce.demo.messages import DEAD_LETTERS, DESTINATIONS, SOURCE, DemoMessage, Generator
from streams.commerce.demo.narrator import Narrator
from streams.commerce.demo.progress import GroupProgress, records_in
from streams.commerce.demo.reading import recount_topics
from streams.commerce.demo.recount import Sent
from streams.commerce.demo.report import Result, report
from streams.commerce.demo.sending import PACE_PER_S, send_paced
from streams.commerce.demo.wire import Encoder
from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.engine.registries import open_registry
from streams.errors import ConfigurationRefused, NotReachable
from streams.messages.contracts import load_contracts
from streams.topology.names import stage_group

__all__ = ["Demo", "Narrator", "Plan", "report"]  # what `headrace demo` takes from a domain

PROBES = 600  # messages of the latency measurement: three seconds' worth
_DRAIN_S = 90.0
_LOOK_EVERY_S = 0.1
_CONTRACTS = ("order", "order_line")

Apply = Callable[[Settings], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the demo is.

    Args:
        messages: how many go through while a worker is killed; the latency measurement sends more.
        seed: makes the same messages again.
        workers: router processes.
    """

    messages: int
    seed: int
    workers: int


def summary_of(applied: Iterable[str]) -> str:
    """One line of the many that `topology apply` prints: how often it did what.

    A line is like `created topic orders.inbound: 4 partitions, ...`.
    """
    did = Counter(line.split(":")[0].rpartition(" ")[0] for line in applied)
    return ", ".join(f"{what} ({count})" for what, count in did.items()) or "nothing to do"


@dataclass
class Demo:
    """One run.

    Args:
        plan: how large it is.
        settings: of this process; where they name a broker it is used, else one is started.
        folder: for logs, state and the broker's data; the caller removes it.
        apply: `topology apply`: brings the topology to the cluster and returns what it did, a line each.
        narrator: tells the person.
    """

    plan: Plan
    settings: Settings
    folder: Path
    apply: Apply
    narrator: Narrator

    def run(self) -> Result:
        """Do it all.

        Raises:
            HeadraceError: it could not be carried through; what it found off is in the result instead.
        """
        with ExitStack() as ends:
            self.settings = ends.enter_context(self._broker())
            self._apply()
            fleet = Fleet.of(self.plan.workers, self.folder, self.settings.bootstrap_servers(), self.narrator)
            ends.callback(fleet.end)
            messages = self._make_messages(fleet)
            return self._route(fleet, messages)

    @contextmanager
    def _broker(self) -> Iterator[Settings]:
        if self.settings.kafka_bootstrap_servers:
            self.narrator.say(f"broker      {self.settings.kafka_bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS)")
            yield self.settings
            return
        cluster = KafkaCluster(folder=self.folder / "kafka", say=self.narrator.event)
        try:
            with self.narrator.step("start a Kafka broker"):
                cluster.start()
            yield self.settings.model_copy(update={"kafka_bootstrap_servers": cluster.bootstrap_servers})
        finally:
            cluster.close()

    def _apply(self) -> None:
        for topic in (SOURCE, *DESTINATIONS, DEAD_LETTERS):
            count = records_in(self.settings, topic)
            if count:
                raise ConfigurationRefused(
                    f"{topic} holds {count:,} records already: nothing could be recounted; use a fresh broker"
                )
        with self.narrator.step("headrace topology apply"):
            self.narrator.event(summary_of(self.apply(self.settings)))

    def _make_messages(self, fleet: Fleet) -> list[DemoMessage]:
        generator = Generator(self.plan.seed, datetime.now(UTC), self._encoder())
        total = self.plan.messages + PROBES
        with self.narrator.step(f"start {self.plan.workers} router workers, and make {total:,} messages"):
            fleet.start()
            messages = []
            for index in range(total):
                messages.append(generator.message(index, may_break=index < self.plan.messages))
                self.narrator.progress(f"made {index:,} of {total:,}")
            fleet.await_ready()
        return messages

    def _encoder(self) -> Encoder:
        contracts = load_contracts(self.settings.schemas)
        registry = open_registry(self.settings)
        try:
            ids = {name: registry.register(contracts[name]).id for name in _CONTRACTS}
        finally:
            registry.close()
        return Encoder({name: contracts[name].parsed for name in _CONTRACTS}, ids)

    def _route(self, fleet: Fleet, messages: list[DemoMessage]) -> Result:
        progress = GroupProgress(self.settings, stage_group("router"), SOURCE)
        sent, rate = self._send(fleet, messages[: self.plan.messages], progress)
        with self.narrator.step(f"measure latency with {PROBES} more messages"):
            fleet.await_ready()
            latency, probes = measure_latency(self.settings, messages[self.plan.messages :])
            self._await_routed(fleet, progress)
        with self.narrator.step("ask every worker for table router.routes, then stop them with SIGTERM"):
            routes = fleet.routes()
            complaints = fleet.stop()
        with self.narrator.step("recount all topics with a reader of its own"):
            tally = recount_topics(self.settings, sent + probes)
        return Result(tally, rate, latency, routes, complaints)

    def _send(self, fleet: Fleet, messages: list[DemoMessage], progress: GroupProgress) -> tuple[list[Sent], float]:
        murder = Murder(fleet, len(messages))

        def on_sent(count: int) -> None:
            murder.at(count)
            self.narrator.progress(f"sent {count:,} of {len(messages):,}")

        started_at = time.monotonic()
        with self.narrator.step(f"send {len(messages):,} messages to {SOURCE}, {PACE_PER_S:,} a second"):
            sent = send_paced(self.settings, messages, on_sent)
        with self.narrator.step("wait until the workers have committed the last one"):
            self._await_routed(fleet, progress)
        return sent, len(sent) / (time.monotonic() - started_at)

    def _await_routed(self, fleet: Fleet, progress: GroupProgress) -> None:
        deadline = time.monotonic() + _DRAIN_S
        while (now := progress.now()).lag > 0:
            fleet.check_alive()
            if time.monotonic() > deadline:
                logs = ", ".join(str(worker.log) for worker in fleet.workers)
                raise NotReachable(f"{now.lag:,} messages are not routed after {_DRAIN_S:.0f} s; logs: {logs}")
            self.narrator.progress(f"routed {now.committed:,} of {now.end:,}")
            time.sleep(_LOOK_EVERY_S)
