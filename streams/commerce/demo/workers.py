"""Two or more `headrace worker router` processes that the demo starts, kills, restarts and asks."""

import json
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.dev.ports import free_ports
from streams.dev.processes import Process, launch
from streams.errors import ConfigurationRefused, HeadraceError, NotReachable

READY_S = 60.0
STOP_S = 40.0  # design: SIGTERM drains and commits in at most 30 s
_HTTP_S = 5.0
_ENV = "/usr/bin/env"  # where every POSIX system has it
_POLL_S = 0.1


@dataclass
class Worker:
    """One worker process with its own instance id, port and state, which it has again after a restart."""

    name: str
    folder: Path
    bootstrap_servers: str
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: Process | None = None

    @property
    def log(self) -> Path:
        """File with all that it says."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start the process; `await_ready` tells when it serves."""
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "HEADRACE_INSTANCE_ID": self.name,
            "HEADRACE_STATE_DIR": str(self.folder / f"{self.name}-state"),
            "HEADRACE_WEB_HOST": "127.0.0.1",
            "HEADRACE_WEB_PORT": str(self.port),
        }
        command = [sys.executable, "-m", "streams.cli", "worker", "router"]
        self.process = launch(_with_environment(variables, command), self.log, leashed=True)

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()

    def ask_to_stop(self) -> None:
        """Send SIGTERM; `await_end` tells how it ended."""
        if self.process is not None:
            self.process.signal(signal.SIGTERM)

    def await_end(self) -> str:
        """How it ended: `exit code 0` is as it should be. It is killed when it does not end in time."""
        if self.process is None or self.process.child is None:
            return "it was not started"
        if not self.process.wait(STOP_S):
            self.process.kill()
            return f"it did not end within {STOP_S:.0f} s"
        return f"exit code {self.process.child.returncode}"

    def await_ready(self) -> None:
        """Wait until /readyz answers 200.

        Raises:
            HeadraceError: the process ended, or was not ready in time; the message names its log.
        """
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise NotReachable(f"{self.name} was not ready within {READY_S:.0f} s; its log: {self.log}")
            time.sleep(_POLL_S)

    def check_alive(self) -> None:
        """Raise when the process ended although nobody asked it to."""
        if self.process is None or not self.process.alive():
            raise ConfigurationRefused(f"{self.name} ended by itself; its log: {self.log}")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=_HTTP_S) as answer:  # noqa: S310 http, ours
                return bool(answer.status == 200)  # noqa: PLR2004 HTTP's OK
        except OSError:
            return False

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def table(self, name: str) -> dict[str, dict[str, object]]:
        """All rows of a table, key to value, as this worker answers them (it asks the others for theirs).

        Raises:
            HeadraceError: it answered with an error, or not at all.
        """
        rows: dict[str, dict[str, object]] = {}
        after = ""
        while True:
            page = self._get(f"/api/tables/{name}?limit=100{after}")
            rows.update({item["key"]: item["value"] for item in page["items"]})
            if not page["next"]:
                return rows
            after = f"&after={urllib.parse.quote(page['next'])}"

    def _get(self, path: str) -> Any:  # JSON
        try:
            with urllib.request.urlopen(self._url + path, timeout=_HTTP_S) as answer:  # noqa: S310 http, ours
                return json.load(answer)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise HeadraceError(f"{self.name} did not answer {path}: {error}; its log: {self.log}") from None


def _with_environment(variables: Mapping[str, str], command: list[str]) -> list[str]:
    """Return `command` with variables set by env(1), for a leashed process starts in our own environment."""
    return [_ENV, *(f"{name}={value}" for name, value in variables.items()), *command]
