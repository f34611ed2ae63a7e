"""The developer's own broker: what `headrace dev up|down|status` do. Stays until it is told to go."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.config import dev_broker_record
from streams.dev.cluster import LAYOUT, KafkaCluster, silent
from streams.dev.distribution import Say
from streams.dev.processes import Process
from streams.dev.readiness import cluster_id_of
from streams.dev.record import DevRecord
from streams.dev.registry import DevRegistry
from streams.errors import NotReachable, UsageError

HEAP_MB = 512


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """One broker: its id, address, pid (None in a container) and whether it is `running` or `stopped`."""

    broker: int
    address: str
    pid: int | None
    state: str


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """The registry: its URL, pid (None in a container) and whether it is `running` or `stopped`."""

    url: str
    pid: int | None
    state: str


@dataclass(frozen=True, slots=True)
class DevStatus:
    """The developer's cluster: `running`, `degraded` (a broker is missing), `unreachable` or `stopped`."""

    state: str
    bootstrap_servers: str = ""
    cluster_id: str = ""
    folder: str = ""
    brokers: tuple[BrokerStatus, ...] = ()
    registry: RegistryStatus | None = None


def up(brokers: int | None, say: Say, *, registry: bool = False) -> DevRecord:
    """Start the cluster, or what is missing of it, and record its address.

    Args:
        brokers: 1 or 3; None: what runs already, else 1.
        say: told what is done.
        registry: start a registry too; one that runs stays.

    Raises:
        UsageError: a cluster of another size runs.
        BrokerFailed: it cannot be started; the message says why.
    """
    with _lock():
        running = [cluster for cluster in _clusters() if _alive(cluster)]
        for cluster in running:
            if brokers not in {None, cluster.size}:
                runs = "1 broker runs" if cluster.size == 1 else f"{cluster.size} brokers run"
                raise UsageError(f"{runs}; `headrace dev down` first, then `headrace dev up --brokers {brokers}`")
        size = running[0].size if running else brokers or 1
        cluster = KafkaCluster(size, folder=_folder(size), heap_mb=HEAP_MB, detached=True, say=say)
        missing = size - (_alive(running[0]) if running else 0)
        if missing:
            say(f"starting {missing} of {size} Kafka broker{'s' if size > 1 else ''} in {cluster.folder}")
        cluster.start()
        beside = _registry(cluster.folder, say)
        if registry and not beside.alive():
            say(f"starting a registry in {beside.folder}")
            beside.start()
        record = _record(cluster, beside.url if beside.alive() else "")
        record.save()
        return record


def down(say: Say, *, wipe: bool) -> None:
    """End every broker that `up` started; with `wipe` delete its data."""
    with _lock():
        clusters = _clusters()
        running = {cluster.folder: count for cluster in clusters if (count := _alive(cluster))}
        if not running:
            say("no broker of `headrace dev up` runs")
        for cluster in clusters:
            registry = _registry(cluster.folder, say)
            if registry.alive():
                say("stopping the registry")
                registry.stop()
            if wipe:
                registry.wipe()
            if alive := running.get(cluster.folder):
                say(f"stopping {alive} Kafka broker{'s' if alive > 1 else ''}")
                cluster.stop_all()
            if wipe:
                cluster.wipe()
                say(f"deleted {cluster.folder}")
        DevRecord.remove()
        if running:
            say("Kafka is down")
        elif wipe and not clusters:
            say("nothing to delete")


def status() -> DevStatus:
    """Look, and change nothing."""
    clusters = [cluster for cluster in _clusters() if _alive(cluster)]
    if not clusters:
        return DevStatus("stopped")
    cluster = clusters[0]
    address, cluster_id = cluster.bootstrap_servers, cluster.cluster_id
    if cluster_id_of(address) != cluster_id:
        state = "unreachable"
    else:
        state = "running" if _alive(cluster) == cluster.size else "degraded"
    brokers = tuple(
        BrokerStatus(
            node,
            f"{cluster.layout.host}:{broker.node.port}",
            _pid(broker.identity) if broker.alive() else None,
            "running" if broker.alive() else "stopped",
        )
        for node, broker in cluster.brokers.items()
    )
    registry = _registry_status(cluster.folder)
    return DevStatus(state, address, cluster_id, str(cluster.folder), brokers, registry)


def check_given(bootstrap_servers: str) -> str:
    """Return the id of a cluster that somebody else runs (KAFKA_BOOTSTRAP_SERVERS).

    Raises:
        NotReachable: it does not answer.
    """
    cluster_id = cluster_id_of(bootstrap_servers, timeout_s=10)
    if cluster_id is None:
        raise NotReachable(f"KAFKA_BOOTSTRAP_SERVERS is {bootstrap_servers}, but no broker answers there")
    return cluster_id


def _record(cluster: KafkaCluster, registry_url: str) -> DevRecord:
    pids = tuple(pid for broker in cluster.brokers.values() if (pid := _pid(broker.identity)))
    return DevRecord(cluster.bootstrap_servers, cluster.cluster_id, pids, cluster.folder, registry_url)


def _registry(folder: Path, say: Say = silent) -> DevRegistry:
    """The registry of the cluster in `folder`, which has its ids; its data goes with the cluster's."""
    return DevRegistry(folder / "registry", detached=True, say=say)


def _registry_status(folder: Path) -> RegistryStatus | None:
    registry = _registry(folder)
    if not registry.url:
        return None
    return RegistryStatus(registry.url, registry.pid, "running" if registry.alive() else "stopped")


def _pid(identity: str) -> int | None:
    return Process.parse(identity).pid if ":" in identity else None


def _folder(brokers: int) -> Path:
    return dev_broker_record().parent / f"kafka-{brokers}"


def _clusters() -> list[KafkaCluster]:
    """Clusters that have data, running or not."""
    layouts = sorted(dev_broker_record().parent.glob(f"kafka-*/{LAYOUT}"))
    return [KafkaCluster(folder=path.parent, detached=True).find() for path in layouts]


def _alive(cluster: KafkaCluster) -> int:
    return sum(broker.alive() for broker in cluster.brokers.values())


@contextmanager
def _lock() -> Iterator[None]:
    """One `up` or `down` at a time."""
    path = dev_broker_record().with_name("lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
