"""A Kafka cluster of one or three brokers for `headrace dev` and for tests alike."""

import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from streams.dev.broker import Broker, BrokerFailed
from streams.dev.distribution import Say
from streams.dev.layout import Layout, free_nodes, new_layout
from streams.dev.ports import is_free
from streams.dev.readiness import admin_client, answers, await_condition, group_coordinator_answers, in_sync
from streams.dev.runtime import Runtime, Wanted, choose_runtime

READY_S = 60.0
PORT_ATTEMPTS = 3
LAYOUT = "cluster.json"


def silent(_line: str) -> None:
    """Say nothing."""


class KafkaCluster:
    """Real Apache Kafka 4 on free ports. Also a context manager: starts it, and leaves nothing behind.

    Args:
        brokers: 1, or 3 (replication 3, min.insync.replicas 2).
        folder: where its data stays and its running brokers are found; else a temporary one, which ends with
            `close`.
        heap_mb: heap of each broker; 256 serves tests, a benchmark or soak may want 1024.
        overrides: broker settings besides (or instead of) those of `streams.dev.layout`.
        detached: it outlives this process (`headrace dev up`); otherwise it dies with it, even on kill -9.
        say: told what takes long.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        folder: Path | None = None,
        heap_mb: int = 256,
        overrides: Mapping[str, str] | None = None,
        detached: bool = False,
        say: Say = silent,
    ) -> None:
        self.size = brokers
        self.folder = folder or Path(tempfile.mkdtemp(prefix="headrace-kafka-"))
        self.brokers: dict[int, Broker] = {}
        self._temporary = folder is None
        self._overrides = dict(overrides or {})
        self._wanted = Wanted(self.folder, heap_mb, not detached, say)
        self._up: set[int] = set()  # started by us and not ended by us: one that is missing ended by itself
        self._layout: Layout | None = None

    @property
    def layout(self) -> Layout:
        """Its identity and addresses."""
        if self._layout is None:
            raise BrokerFailed("the cluster was not started: call start() first")
        return self._layout

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all brokers, those that are down included."""
        return self.layout.bootstrap_servers

    @property
    def cluster_id(self) -> str:
        """Its id, which every answer is checked against."""
        return self.layout.cluster_id

    def find(self) -> Self:
        """See the cluster that `folder` holds, running or not, and change nothing."""
        layout = Layout.load(self.folder / LAYOUT)
        self._arrange(choose_runtime(self._wanted, layout.kind), layout)
        return self

    def _settle(self) -> None:
        """Settle ids and addresses: existing data keeps its id and, if they are free, its ports."""
        path = self.folder / LAYOUT
        if path.exists():
            self.find()
            if self._alive() or all(map(is_free, self.layout.ports)):
                return
            layout = replace(self.layout, nodes=free_nodes(self.size))
            runtime = choose_runtime(self._wanted, layout.kind)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            runtime = choose_runtime(self._wanted)
            layout = new_layout(self.size, runtime.host, runtime.kind)
        layout.save(path)
        self._arrange(runtime, layout)

    def _arrange(self, runtime: Runtime, layout: Layout) -> None:
        self._layout = layout
        self.size = len(layout.nodes)
        self.brokers = {node.id: runtime.make(layout, node) for node in layout.nodes}

    def _alive(self) -> set[int]:
        return {node for node, broker in self.brokers.items() if broker.alive()}

    def start(self, timeout_s: float = READY_S) -> Self:
        """Start every broker that does not run and wait until the cluster serves; else it leaves none behind.

        Raises:
            BrokerFailed: a broker ended by itself; the message says why.
            NotReachable: it did not become ready within `timeout_s`.
            ConfigurationRefused: nothing to run it with; the message says what to install.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start_all(timeout_s)
            except BrokerFailed as error:
                # Somebody took a port between our look and the broker's: look again.
                if "Address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
            else:
                break
        return self

    def _start_all(self, timeout_s: float) -> None:
        self._settle()
        self._up = self._alive()
        missing = sorted(self.brokers.keys() - self._up)
        try:
            for node in missing:
                self._start_one(node)
            self.wait_ready(timeout_s)
        except BaseException:  # an interrupt too: nobody else knows these processes yet
            for node in missing:
                self.kill(node)
            raise

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Wait until every running broker answers for itself and groups work.

        Raises:
            BrokerFailed: one ended by itself.
            NotReachable: not within `timeout_s`, or another cluster answers on a port.
        """
        for node in sorted(self._up):
            admin = admin_client(f"{self.layout.host}:{self.brokers[node].node.port}")
            condition = partial(self._serves, self.brokers[node], admin)
            await_condition(condition, timeout_s, f"broker {node} of {self.size} to serve")

        def groups_work() -> bool:  # a new client a try: an old one goes on asking the coordinator that it knew
            return group_coordinator_answers(admin_client(self.bootstrap_servers))

        await_condition(groups_work, timeout_s, "the group coordinator")

    def _serves(self, broker: Broker, admin: AdminClient) -> bool:
        if not broker.alive():
            raise BrokerFailed(f"broker {broker.node.id} ended by itself: {broker.last_words()}")
        return answers(admin, self.cluster_id, len(self._up))

    def wait_in_sync(self, timeout_s: float = READY_S) -> None:
        """Wait until every partition has a leader and all its replicas in sync."""
        admin = admin_client(self.bootstrap_servers)
        await_condition(partial(in_sync, admin), timeout_s, "all replicas to be in sync")

    def kill(self, node: int = 1) -> None:
        """Kill -9 one broker; returns when it is gone."""
        self._up.discard(node)
        self.brokers[node].kill()

    def stop(self, node: int = 1) -> None:
        """Stop one broker cleanly."""
        self._up.discard(node)
        self.brokers[node].stop()

    def restart(self, node: int = 1, timeout_s: float = READY_S) -> None:
        """Start a broker again on its port and data (cleanly ended if it runs) and wait until it serves."""
        self.stop(node)
        self._start_one(node)
        self.wait_ready(timeout_s)

    def _start_one(self, node: int) -> None:
        self.brokers[node].start(self._overrides)
        self._up.add(node)

    def pause(self, node: int = 1) -> None:
        """Freeze one broker (SIGSTOP): its connections stay open and nothing answers."""
        self.brokers[node].pause()

    def resume(self, node: int = 1) -> None:
        """Wake it (SIGCONT)."""
        self.brokers[node].resume()

    def roll(self, overrides: Mapping[str, str], timeout_s: float = READY_S) -> None:
        """Restart the brokers one by one with further settings, each when the one before is in sync again."""
        self._overrides.update(overrides)
        for node in self.brokers:
            self.restart(node, timeout_s)
            self.wait_in_sync(timeout_s)

    def stop_all(self) -> None:
        """Stop every broker cleanly; its data stays."""
        # At once: the last of three would wait in vain for the quorum that a clean stop needs.
        with ThreadPoolExecutor(max_workers=len(self.brokers) or 1) as pool:
            list(pool.map(self.stop, self.brokers))

    def kill_all(self) -> None:
        """Kill every broker."""
        for node in self.brokers:
            self.kill(node)

    def wipe(self) -> None:
        """Kill every broker and delete its data."""
        self.kill_all()
        for broker in self.brokers.values():
            broker.wipe()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """End it: a temporary cluster vanishes with its data, another stops cleanly."""
        if self._temporary:
            self.wipe()
        else:
            self.stop_all()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
