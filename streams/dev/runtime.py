"""Decides where a cluster's brokers run: containers if a Docker engine answers, else Java processes."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from streams.dev import docker
from streams.dev.broker import Broker, JavaBroker
from streams.dev.distribution import Distribution, Say, broker_recipe, prepare
from streams.dev.layout import Layout, Node, new_layout
from streams.dev.readiness import admin_client, answers, await_condition, group_coordinator_answers
from streams.errors import NotReachable

ARCHIVING_S = 120.0  # dumping 50 MB of classes on a busy machine
TRAINING_HEAP_MB = 256


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs brokers.

    Args:
        kind: `docker` or `java`.
        host: the address that clients reach them at.
        make: makes one broker of a cluster.
    """

    kind: str
    host: str
    make: Callable[[Layout, Node], Broker]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of all brokers of a cluster.

    Args:
        folder: data, settings and logs, one set a broker.
        heap_mb: maximal heap of each.
        leashed: they die with this process.
        say: told what takes long.
    """

    folder: Path
    heap_mb: int
    leashed: bool
    say: Say


def choose_runtime(wanted: Wanted, kind: str | None = None) -> Runtime:
    """Docker or Java, by what this machine has (or `kind`, to stay with what existing data was made by).

    Raises:
        NotReachable: the data was made by a Docker engine that does not answer now.
    """
    if kind == "docker" and not docker.engine_answers():
        raise NotReachable(
            f"the Kafka of {wanted.folder} is in Docker, and no engine answers; start it, or delete the folder"
        )
    if kind != "java" and docker.engine_answers():
        return Runtime("docker", docker.engine_host(), partial(_docker_broker, wanted))
    distribution = cache(lambda: prepare(broker_recipe(), _run_once, wanted.say))
    return Runtime("java", "127.0.0.1", partial(_java_broker, wanted, distribution))


def _docker_broker(wanted: Wanted, layout: Layout, node: Node) -> Broker:
    return docker.DockerBroker(layout, node, heap_mb=wanted.heap_mb, leashed=wanted.leashed)


def _java_broker(wanted: Wanted, kafka: Callable[[], Distribution], layout: Layout, node: Node) -> Broker:
    return JavaBroker(kafka, layout, node, wanted.folder, heap_mb=wanted.heap_mb, leashed=wanted.leashed)


def _run_once(distribution: Distribution, options: tuple[str, ...]) -> None:
    """Run a broker from start to clean stop, doing what a client's first seconds do."""
    layout = new_layout(1)
    with tempfile.TemporaryDirectory(prefix="headrace-kafka-") as name:
        broker = JavaBroker(
            lambda: distribution,
            layout,
            layout.nodes[0],
            Path(name),
            heap_mb=TRAINING_HEAP_MB,
            leashed=True,
            options=options,
        )
        broker.start({})
        try:
            admin = admin_client(layout.bootstrap_servers)
            await_condition(partial(answers, admin, layout.cluster_id, 1), 60, "the first broker")
            await_condition(partial(group_coordinator_answers, admin), 30, "its group coordinator")
        finally:
            if broker.process:
                broker.process.end(ARCHIVING_S)
