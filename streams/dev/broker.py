"""One broker of a cluster: what can be done to it, and the embedded kind (a Java process of this machine)."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from streams.dev.distribution import Distribution
from streams.dev.layout import BrokerSettings, Layout, Node, embedded_settings
from streams.dev.processes import Process, launch
from streams.errors import HeadraceError

CLEAN_STOP_S = 20.0  # with two of three brokers gone a clean stop waits for a quorum that never comes


class BrokerFailed(HeadraceError):
    """A broker ended by itself or did not become ready."""


def last_error(log: str) -> str:
    """Return the line of a broker's log that names what ended it: its last exception, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["its log is empty"]
    named = [line for line in lines if "Exception" in line or "Error" in line]
    causes = [line for line in named if not line.startswith("at ")]
    return (causes or lines)[-1]


class Broker(Protocol):
    """What a cluster asks of each of its brokers, wherever that runs."""

    node: Node

    @property
    def identity(self) -> str:
        """What tells it from all others: `pid:start time`, or a container's id; empty when it never ran."""

    def start(self, overrides: BrokerSettings) -> None:
        """Start it on its own port and data; does not wait until it answers."""

    def stop(self) -> None:
        """End it cleanly, in bounded time."""

    def kill(self) -> None:
        """Kill -9."""

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""

    def resume(self) -> None:
        """Undo `pause`."""

    def alive(self) -> bool:
        """Whether it runs, frozen or not."""

    def last_words(self) -> str:
        """One line of its log that says why it ended."""

    def wipe(self) -> None:
        """Forget what only this kind of broker keeps outside the cluster's folder."""


class JavaBroker:
    """A Kafka JVM on this machine.

    Args:
        distribution: finds or makes the jars; asked only when the broker starts.
        layout: the cluster it belongs to.
        node: which of its nodes it is.
        folder: the cluster's folder; the broker's data, settings, log and pid file are in it, so that another
            process finds it again there.
        heap_mb: maximal heap.
        leashed: it dies with this process.
        options: further options of the JVM.
    """

    def __init__(
        self,
        distribution: Callable[[], Distribution],
        layout: Layout,
        node: Node,
        folder: Path,
        *,
        heap_mb: int,
        leashed: bool,
        options: tuple[str, ...] = (),
    ) -> None:
        self.node = node
        self._pid_file = folder / f"broker-{node.id}.pid"
        self.process = Process.parse(self._pid_file.read_text()) if self._pid_file.exists() else None
        self.log = folder / f"broker-{node.id}.log"
        self._distribution = distribution
        self._layout = layout
        self._data = folder / f"data-{node.id}"
        self._properties = folder / f"server-{node.id}.properties"
        self._heap_mb = heap_mb
        self._leashed = leashed
        self._options = options

    @property
    def identity(self) -> str:
        """`pid:start time` of its last process."""
        return str(self.process or "")

    def start(self, overrides: BrokerSettings) -> None:
        """Start it, formatting its data folder the first time."""
        settings = embedded_settings(self._layout, self.node, self._data, overrides)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        if not (self._data / "meta.properties").exists():
            self._format()
        command = self._distribution().command(
            "kafka.Kafka", str(self._properties), heap_mb=self._heap_mb, options=self._options
        )
        self.process = launch(command, self.log, leashed=self._leashed)
        self._pid_file.write_text(str(self.process))

    def _format(self) -> None:
        arguments = ("format", "-t", self._layout.cluster_id, "-c", str(self._properties))
        command = self._distribution().command("kafka.tools.StorageTool", *arguments, heap_mb=64)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 no shell
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BrokerFailed(f"Kafka could not format {self._data}: {' '.join(reason)}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self.process:
            self.process.end(CLEAN_STOP_S)

    def kill(self) -> None:
        """Kill -9."""
        if self.process:
            self.process.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        if self.process:
            self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.process:
            self.process.signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive()

    def last_words(self) -> str:
        """The last error in its log."""
        return last_error(self.log.read_text(errors="replace")) if self.log.exists() else "it left no log"

    def wipe(self) -> None:
        """Nothing: all it has is in the cluster's folder."""
