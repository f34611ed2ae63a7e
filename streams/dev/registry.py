"""A registry for `headrace dev` and for tests alike: a real Apicurio, which speaks Confluent's interface.

One process or container on a free port. With a folder it keeps what it holds there (H2's file), as the brokers beside
it keep theirs: ids that are in use on the cluster are in the registry again at the next start.
"""

import http.client
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from streams.dev import docker
from streams.dev.broker import BrokerFailed, last_error
from streams.dev.cluster import silent
from streams.dev.distribution import Say, description, fetch
from streams.dev.java import find_java
from streams.dev.ports import free_ports, is_free
from streams.dev.processes import Process, launch
from streams.dev.readiness import await_condition
from streams.errors import NotReachable

APICURIO_VERSION = "2.6.13.Final"  # as in dev/registry/pom.xml; also the tag of the Docker image
CONFLUENT_PATH = "/apis/ccompat/v7"
COMPATIBILITY = "BACKWARD"  # Apicurio's own default checks nothing
READY_S = 90.0  # 2 s on an idle machine
CLEAN_STOP_S = 10.0
REQUEST_S = 5.0
LAYOUT = "registry.json"
_OK = 200


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry is reached, and what runs it (`java`, `docker`); it stays with its data."""

    host: str
    port: int
    kind: str

    @property
    def url(self) -> str:
        """Of its Confluent interface: what SCHEMA_REGISTRY_URL would be."""
        return f"http://{self.host}:{self.port}{CONFLUENT_PATH}"


class Running(Protocol):
    """What is asked of a registry's process, wherever that runs."""

    @property
    def pid(self) -> int | None:
        """Of its process; None in a container."""

    def start(self) -> None:
        """Start it on its port and data; does not wait until it answers."""

    def stop(self) -> None:
        """End it cleanly, in bounded time."""

    def kill(self) -> None:
        """Kill -9."""

    def alive(self) -> bool:
        """Whether it runs."""

    def last_words(self) -> str:
        """One line of its log that says why it ended."""

    def wipe(self) -> None:
        """Forget what it keeps outside its folder."""


class DevRegistry:
    """A registry on a free port. Also a context manager: starts it, and leaves nothing behind.

    Args:
        folder: where its data stays and its running process is found; else a temporary one, which ends with `close`.
        detached: it outlives this process (`headrace dev up`); otherwise it dies with it, even on kill -9.
        say: told what takes long.
    """

    def __init__(self, folder: Path | None = None, *, detached: bool = False, say: Say = silent) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="headrace-registry-"))
        self._temporary = folder is None
        self._leashed = not detached
        self._say = say
        layout = self.folder / LAYOUT
        self._address = Address(**json.loads(layout.read_text())) if layout.exists() else None
        self._process: Running | None = None  # known once it is asked for

    @property
    def url(self) -> str:
        """Of its Confluent interface; empty before the first start."""
        return self._address.url if self._address else ""

    @property
    def pid(self) -> int | None:
        """Of its process; None in a container, or when it does not run."""
        return self._running().pid if self.alive() else None

    def alive(self) -> bool:
        """Whether it runs."""
        return self._address is not None and self._running().alive()

    def start(self, timeout_s: float = READY_S) -> Self:
        """Start it if it does not run, and wait until it answers; else it leaves none behind.

        Raises:
            BrokerFailed: it ended by itself; the message says why.
            NotReachable: it did not answer within `timeout_s`.
            ConfigurationRefused: nothing to run it with; the message says what to install.
        """
        if not self.alive():
            self._settle()
            self._process = None
            running = self._running()
            try:
                running.start()
                await_condition(lambda: self._serves(running), timeout_s, "the registry to answer")
            except BaseException:  # an interrupt too: nobody else knows this process yet
                running.kill()
                raise
        return self

    def stop(self) -> None:
        """Stop it cleanly; its data stays."""
        if self._address is not None:
            self._running().stop()

    def wipe(self) -> None:
        """End it and delete its data."""
        if self._address is not None:
            running = self._running()
            running.kill()
            running.wipe()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """End it: a temporary one vanishes with its data, another stops cleanly."""
        if self._temporary:
            self.wipe()
        else:
            self.stop()

    def _settle(self) -> None:
        """Settle its address: existing data keeps its kind and, if it is free, its port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._address
        if known is not None and known.kind == "docker" and not docker.engine_answers():
            raise NotReachable(
                f"the registry of {self.folder} is in Docker, and no engine answers; start it, or delete the folder"
            )
        if known is None or (known.kind == "java" and not is_free(known.port)):
            in_docker = known is None and docker.engine_answers()
            host = docker.engine_host() if in_docker else "127.0.0.1"
            self._address = Address(host, free_ports(1)[0], "docker" if in_docker else "java")
            (self.folder / LAYOUT).write_text(json.dumps(asdict(self._address)))

    def _running(self) -> Running:
        if self._process is None:
            self._process = self._find()
        return self._process

    def _find(self) -> Running:
        if self._address is None:
            raise BrokerFailed("the registry was not started: call start() first")
        if self._address.kind == "docker":
            from streams.dev.docker_registry import DockerRegistry  # noqa: PLC0415 only where an engine answers

            return DockerRegistry(self._address.port, leashed=self._leashed)
        return JavaRegistry(self._address.port, self.folder, leashed=self._leashed, say=self._say)

    def _serves(self, running: Running) -> bool:
        """Whether it answers; then it also checks compatibility, as registries of others do by default."""
        if not running.alive():
            raise BrokerFailed(f"the registry ended by itself: {running.last_words()}")
        address = self._address
        if address is None:
            return False
        connection = http.client.HTTPConnection(address.host, address.port, timeout=REQUEST_S)
        body = json.dumps({"compatibility": COMPATIBILITY})
        try:
            connection.request("PUT", f"{CONFLUENT_PATH}/config", body, {"Content-Type": "application/json"})
            return connection.getresponse().status == _OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

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


class JavaRegistry:
    """Apicurio's JVM on this machine.

    Args:
        port: of the loopback interface.
        folder: its data, log and pid file, so that another process finds it again there.
        leashed: it dies with this process.
        say: told what takes long.
    """

    def __init__(self, port: int, folder: Path, *, leashed: bool, say: Say) -> None:
        self._port = port
        self._folder = folder
        self._leashed = leashed
        self._say = say
        self._pid_file = folder / "registry.pid"
        self._log = folder / "registry.log"
        self._process = Process.parse(self._pid_file.read_text()) if self._pid_file.exists() else None

    @property
    def pid(self) -> int | None:
        """Of its last process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, fetching it the first time."""
        self._process = launch(_command(self._port, self._folder, self._say), self._log, leashed=self._leashed)
        self._pid_file.write_text(str(self._process))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self._process:
            self._process.end(CLEAN_STOP_S)

    def kill(self) -> None:
        """Kill -9."""
        if self._process:
            self._process.kill()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.alive()

    def last_words(self) -> str:
        """The last error in its log."""
        return last_error(self._log.read_text(errors="replace")) if self._log.exists() else "it left no log"

    def wipe(self) -> None:
        """Nothing: all it has is in its folder."""


def _command(port: int, folder: Path, say: Say) -> list[str]:
    java = find_java()
    contents = f"Apicurio Registry {APICURIO_VERSION} (142 MB)"
    jars = fetch(f"apicurio-{APICURIO_VERSION}", description("registry") / "pom.xml", contents, java, say)
    return [
        str(java.executable),
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # the first compiler alone: the second pays only later
        "-Dquarkus.http.host=127.0.0.1",
        f"-Dquarkus.http.port={port}",
        f"-DREGISTRY_DATASOURCE_URL=jdbc:h2:file:{folder.resolve() / 'registry-data'}",
        "-jar",
        str(jars / f"apicurio-registry-app-{APICURIO_VERSION}-runner.jar"),
    ]
