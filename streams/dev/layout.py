"""What a cluster is, as plain data, and the broker settings that follow from it. Starts nothing."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.dev.ports import free_ports

BrokerSettings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """One broker, which is a controller too (KRaft combined mode): its id and its two ports."""

    id: int
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's identity, its addresses, and where it runs (`java`, `docker`); they stay with its data."""

    cluster_id: str
    nodes: tuple[Node, ...]
    host: str = "127.0.0.1"
    kind: str = "java"

    @property
    def bootstrap_servers(self) -> str:
        """Addresses for clients."""
        return ",".join(f"{self.host}:{node.port}" for node in self.nodes)

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports that it listens on."""
        return tuple(port for node in self.nodes for port in (node.port, node.controller_port))

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: Path) -> "Layout":
        """Read what `save` wrote."""
        content = json.loads(path.read_text())
        nodes = tuple(Node(**node) for node in content["nodes"])
        return cls(content["cluster_id"], nodes, content["host"], content["kind"])


def new_layout(brokers: int, host: str = "127.0.0.1", kind: str = "java") -> Layout:
    """Return a new cluster."""
    return Layout(new_cluster_id(), free_nodes(brokers), host, kind)


def free_nodes(brokers: int) -> tuple[Node, ...]:
    """Return brokers on ports that are free now."""
    ports = free_ports(2 * brokers)
    return tuple(Node(i + 1, ports[2 * i], ports[2 * i + 1]) for i in range(brokers))


def new_cluster_id() -> str:
    """Return a random id in Kafka's form: 16 bytes in URL-safe base64, never starting with a dash."""
    encoded = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return encoded if not encoded.startswith("-") else f"A{encoded[1:]}"


def cluster_settings(brokers: int) -> dict[str, str]:
    """Settings that hold however brokers run: small, quick to notice a death, nothing created by accident."""
    replicas, in_sync = str(min(3, brokers)), str(max(1, min(3, brokers) - 1))
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",  # 3000 by default
        # KIP-848: a crashed member is noticed after 45 s by default; `apply` may not set less than these.
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "200",
        "group.min.session.timeout.ms": "1000",
        # A broker that comes back after kill -9 waits for its predecessor's session: 2.7 s instead of 12 s.
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "250",
        "log.cleaner.dedupe.buffer.size": "8388608",  # 128 MiB by default, half of the heap
    }


def embedded_settings(layout: Layout, node: Node, data: Path, overrides: BrokerSettings) -> dict[str, str]:
    """Contents of server.properties for a broker on this machine."""
    client, controller = f"{layout.host}:{node.port}", f"{layout.host}:{node.controller_port}"
    voters = ",".join(f"{each.id}@{layout.host}:{each.controller_port}" for each in layout.nodes)
    return {
        **cluster_settings(len(layout.nodes)),
        "node.id": str(node.id),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        **overrides,
    }


def container_settings(layout: Layout, node: Node, overrides: BrokerSettings) -> dict[str, str]:
    """The same for a container: `kafka-<id>` to its peers, a mapped port of `host` to clients."""
    voters = ",".join(f"{each.id}@kafka-{each.id}:9093" for each in layout.nodes)
    return {
        **cluster_settings(len(layout.nodes)),
        "node.id": str(node.id),
        "controller.quorum.voters": voters,
        "listeners": "PLAINTEXT://:9092,INTERNAL://:19092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{layout.host}:{node.port},INTERNAL://kafka-{node.id}:19092",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        **overrides,
    }


def as_environment(settings: BrokerSettings) -> dict[str, str]:
    """How the apache/kafka image takes settings: `log.dirs` is KAFKA_LOG_DIRS (_ doubled, - tripled)."""
    return {
        "KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper(): value
        for name, value in settings.items()
    }
