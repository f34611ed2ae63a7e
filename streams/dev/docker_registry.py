"""The registry as a container, where a Docker engine answers: as docker.py runs brokers, and with its reasons."""

from typing import Any

from streams.dev.broker import last_error
from streams.dev.docker import ASK_S, CLEAN_STOP_S, LOG_LINES, engine
from streams.dev.registry import APICURIO_VERSION

IMAGE = f"apicurio/apicurio-registry-mem:{APICURIO_VERSION}"
DATA = "/tmp/registry-data"  # noqa: S108 in the container's own file system, which stays until the container is removed


class DockerRegistry:
    """Apicurio in a container.

    Args:
        port: of the engine's host, which tells it from others.
        leashed: testcontainers' reaper ends it when this process has gone.
    """

    def __init__(self, port: int, *, leashed: bool) -> None:
        self._port = port
        self._leashed = leashed
        self._name = f"headrace-registry-{port}"
        existing = engine().client.containers.list(all=True, filters={"name": f"^/{self._name}$"})
        self._container: Any = existing[0] if existing else None

    @property
    def pid(self) -> int | None:
        """None: the engine has it."""
        return None

    def start(self) -> None:
        """Make the container, or start the existing one again: it keeps its data and port."""
        if self._container is None:
            self._container = self._make()
        else:
            self._container.start()

    def _make(self) -> Any:
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 optional
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 optional

        testcontainers_config.ryuk_disabled = not self._leashed
        made = DockerContainer(IMAGE).with_name(self._name).with_bind_ports(8080, self._port)
        made.with_envs(JAVA_OPTIONS="-Xmx256m", REGISTRY_DATASOURCE_URL=f"jdbc:h2:file:{DATA}").start()
        return made.get_wrapped_container()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self.alive():
            self._container.stop(timeout=CLEAN_STOP_S)

    def kill(self) -> None:
        """Kill -9."""
        if self.alive():
            self._container.kill()
            self._container.wait(timeout=ASK_S)

    def alive(self) -> bool:
        """Whether its container runs."""
        if self._container is None:
            return False
        self._container.reload()
        return bool(self._container.status == "running")

    def last_words(self) -> str:
        """The last error in its log."""
        return last_error(self._container.logs(tail=LOG_LINES).decode(errors="replace"))

    def wipe(self) -> None:
        """Remove the container and its data."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None
