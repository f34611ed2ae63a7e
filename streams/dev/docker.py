"""Brokers as containers, where a Docker engine answers. testcontainers is imported only then.

A generic container of the official image, on a host port that is chosen beforehand: it can be advertised
before the broker starts and stays the same over restarts. testcontainers' own Kafka container cannot run this
image; a log wait would wait for a quorum that brokers not yet started are part of: the cluster waits instead.
Containers are `Any`: testcontainers is an optional dependency, so its types are not always there.
"""

import shutil
import subprocess
from functools import cache
from typing import Any

from streams.dev.broker import last_error
from streams.dev.distribution import KAFKA_VERSION
from streams.dev.layout import BrokerSettings, Layout, Node, as_environment, container_settings
from streams.errors import ConfigurationRefused

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
DATA = "/var/lib/kafka/data"  # the image's volume, owned by the user it runs as
CLEAN_STOP_S = 20
ASK_S = 10.0
LOG_LINES = 200


@cache
def engine_answers() -> bool:
    """Whether `docker info` gets an answer from an engine (a client alone is not enough)."""
    client = shutil.which("docker")
    if client is None:
        return False
    ask = [client, "info", "--format", "{{.ServerVersion}}"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=ASK_S, check=False)  # noqa: S603 no shell
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and bool(answer.stdout.strip())


def engine_host() -> str:
    """Address of the engine's published ports as this machine sees them."""
    host = str(engine().host())
    return "127.0.0.1" if host == "localhost" else host


def engine() -> Any:
    """The engine's client.

    Raises:
        ConfigurationRefused: its Python package is missing.
    """
    try:
        from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415 optional
    except ImportError:
        raise ConfigurationRefused(
            "a Docker engine answers, but its Python package is missing: pip install testcontainers"
        ) from None
    return DockerClient()


class DockerBroker:
    """One broker in a container.

    Args:
        layout: the cluster it belongs to.
        node: which of its nodes it is.
        heap_mb: maximal heap.
        leashed: testcontainers' reaper ends it when this process has gone.
    """

    def __init__(self, layout: Layout, node: Node, *, heap_mb: int, leashed: bool) -> None:
        self.node = node
        self._layout = layout
        self._heap_mb = heap_mb
        self._leashed = leashed
        self._overrides: BrokerSettings = {}
        self._name = f"headrace-{layout.cluster_id}-{node.id}"
        existing = engine().client.containers.list(all=True, filters={"name": f"^/{self._name}$"})
        self._container: Any = existing[0] if existing else None

    @property
    def identity(self) -> str:
        """Id of its container."""
        return str(self._container.id) if self._container else ""

    def start(self, overrides: BrokerSettings) -> None:
        """Make the container, or start the existing one again: it keeps its data, settings and port."""
        if self._container is None:
            self._container, self._overrides = self._make(overrides), dict(overrides)
        elif overrides != self._overrides:
            raise ConfigurationRefused("a container keeps the settings it was made with; make a new cluster for others")
        else:
            self._container.start()

    def _make(self, overrides: BrokerSettings) -> Any:
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 optional
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 optional

        testcontainers_config.ryuk_disabled = not self._leashed
        name = f"kafka-{self.node.id}"
        settings = {**container_settings(self._layout, self.node, overrides), "log.dirs": DATA}
        made = DockerContainer(IMAGE).with_name(self._name)
        made.with_bind_ports(9092, self.node.port).with_kwargs(hostname=name)
        made.with_network(self._network()).with_network_aliases(name)
        made.with_envs(CLUSTER_ID=self._layout.cluster_id, KAFKA_HEAP_OPTS=f"-Xmx{self._heap_mb}m")
        made.with_envs(**as_environment(settings)).start()
        return made.get_wrapped_container()

    def _network(self) -> Any:
        """Return the cluster's own network, made by its first broker: peers find each other by name in it."""
        from testcontainers.core.network import Network  # noqa: PLC0415 optional

        network = Network()
        network.name = f"headrace-{self._layout.cluster_id}"
        return network if engine().client.networks.list(names=[network.name]) else network.create()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self.alive():
            self.resume()
            self._container.stop(timeout=CLEAN_STOP_S)

    def kill(self) -> None:
        """Kill -9."""
        if self.alive():
            self._container.kill()
            self._container.wait(timeout=ASK_S)

    def pause(self) -> None:
        """Freeze it."""
        if self.alive():
            self._container.pause()

    def resume(self) -> None:
        """Undo `pause`."""
        if self.alive() and self._container.status == "paused":
            self._container.unpause()

    def alive(self) -> bool:
        """Whether its container runs, frozen or not."""
        if self._container is None:
            return False
        self._container.reload()
        return self._container.status in {"running", "paused"}

    def last_words(self) -> str:
        """The last error in its log."""
        return last_error(self._container.logs(tail=LOG_LINES).decode(errors="replace"))

    def wipe(self) -> None:
        """Remove the container, its data and, after the last one, the cluster's network."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None
        for network in engine().client.networks.list(names=[f"headrace-{self._layout.cluster_id}"]):
            network.reload()
            if not network.containers:
                network.remove()
