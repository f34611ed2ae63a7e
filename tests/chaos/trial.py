"""Two workers and a load on three brokers behind a wire: what a trial of broker faults needs, and its recount."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.config import Settings
from streams.dev.readiness import admin_client, await_condition
from streams.engine.topic_reader import read_topics
from tests.chaos import recount, workload
from tests.chaos.crew import STAGES, Member, apply_topology, kill_all, start_all, stop_all
from tests.chaos.reading import table_over_http
from tests.chaos.settling import settle
from tests.chaos.watching import Output, Tellings
from tests.chaos.wire import WiredCluster

COUNTING_PARTS = ("destination", "transaction coordinator", "group coordinator")
NOT_REACHABLE = 3  # exit code
LETTERS = ("headrace.router.dlq", "headrace.counting.dlq")
RATE = 1200.0
_LOG_PARTITIONS = 4  # of __consumer_offsets and __transaction_state, as streams.dev.layout sets them


def coordinator_partition(name: str) -> int:
    """Partition of a coordinator's log that has `name`: Java's String.hashCode, as the broker takes it."""
    code = 0
    for character in name:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return (code & 0x7FFFFFFF) % _LOG_PARTITIONS


def applied(environment: dict[str, str]) -> int:
    """`headrace topology apply`, again where brokers of a busy machine did not answer in time; the contract's id."""
    ids: list[int] = []

    def done() -> bool:
        try:
            ids.append(apply_topology(environment))
        except subprocess.CalledProcessError as error:
            if error.returncode != NOT_REACHABLE:
                raise
        return bool(ids)

    await_condition(done, 60, "the topology to be applied")
    return ids[0]


class Trial:
    """Use as a context manager around the faults; `verdict` ends the load and recounts everything."""

    def __init__(
        self,
        cluster: WiredCluster,
        settings: Settings,
        environment: dict[str, str],
        folder: Path,
        rate: float = RATE,
    ) -> None:
        self.cluster = cluster
        self.settings = settings
        self.schema_id = applied(environment)
        self.crew = [Member(f"w{n}", folder, environment) for n in (1, 2)]
        self.load = workload.Load(settings, sys.maxsize, rate, self.schema_id, patience_s=180)
        self.output = Output(settings)
        self.tellings = Tellings(self.crew)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        start_all(self.crew, 120)
        self.output.start()
        assert self.output.reading.wait(30), "the outputs could not be read"
        self.load.start()
        self.tellings.start()
        self.await_flow(60, "the first output of every partition")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.cluster.heal()
        if self.load.is_alive():
            self.load.stop()
        self.tellings.end()
        self.output.end()
        kill_all(self.crew)

    # -- who has which part

    def leader(self, topic: str, partition: int = 0) -> int:
        """Broker that leads a partition."""
        admin = admin_client(self.cluster.bootstrap_servers)
        return int(admin.list_topics(timeout=10).topics[topic].partitions[partition].leader)

    def holder(self, part: str) -> int:
        """Broker that has now one of COUNTING_PARTS in the counting stage's transactions."""
        if part == "destination":
            return self.leader("counting.out")
        if part == "transaction coordinator":
            name = f"headrace.counting-{self.crew[0].name}"
            return self.leader("__transaction_state", coordinator_partition(name))
        return self.leader("__consumer_offsets", coordinator_partition("headrace.counting"))

    # -- faults

    def await_flow(self, timeout_s: float, what: str) -> None:
        """Wait until every partition has put out something that was sent after now."""
        sent = self.load.sent
        await_condition(lambda: self.load.error is not None or self.output.passed(sent), timeout_s, what)
        assert self.load.error is None, self.load.error
        self._assert_all_run()

    def endure(self, seconds: float) -> None:
        """Let a fault last; the workers must live through it."""
        end = time.monotonic() + seconds
        await_condition(lambda: time.monotonic() > end, seconds + 1, "time to pass")
        self._assert_all_run()

    def all_have_told(self) -> bool:
        """Whether each worker has said since the fault began, of each of its stages, that it waits."""
        return {(member.name, stage) for member in self.crew for stage in STAGES} <= self.tellings.waited

    def _assert_all_run(self) -> None:
        for member in self.crew:
            assert member.running, f"{member.name} ended by itself; see {member.log}"

    @contextmanager
    def measured(self, fault: str) -> Iterator[None]:
        """Measure one fault and its end: how long output paused, and what the workers said."""
        self.output.mark()
        self.tellings.mark()
        started = time.monotonic()
        try:
            yield
        finally:
            figures = {
                "fault": fault,
                "took_s": round(time.monotonic() - started, 1),
                "pause_s": {stage: round(self.output.longest_pause_s(stage), 1) for stage in STAGES},
                "waiting_for": dict(self.tellings.said),
                "logged": dict(self.tellings.logged()),
            }
            sys.stdout.write(json.dumps(figures, indent=1) + "\n")

    # -- the end

    def verdict(self) -> None:
        """Everything at its destination once, in order; table = changelog = recount; no letters; no exits."""
        self.load.stop()
        settle(self.settings, self.crew, 120)
        table = table_over_http(self.crew[0])
        self._assert_all_run()
        stop_all(self.crew)
        found = recount.recount_all(self.settings, self.load.sent, self.schema_id, table)
        letters = read_topics(self.settings, LETTERS, lambda _batch: None, timeout_s=60)
        sys.stdout.write(f"{self.load.sent} records, {letters} dead letters, differences {dict(found.counts)}\n")
        sys.stdout.write("".join(f"  {example}\n" for example in found.examples))
        assert not found.counts, found.examples
        assert not letters
