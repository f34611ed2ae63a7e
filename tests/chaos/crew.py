"""The workers of a chaos run: real `headrace worker` processes that are killed, frozen, stopped and started."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from streams.config import Settings
from streams.dev.ports import free_ports
from streams.dev.readiness import await_condition

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STOP_S = 40
STAGES = ("router", "counting")
TOPOLOGY = HERE / "world" / "topology.yaml"
Environment = Callable[[Settings], dict[str, str]]
Membership = Literal["classic", "static", "consumer"]
_STAGE_SETTINGS: dict[Membership, str] = {
    "classic": "{group_protocol: classic}",
    "static": "{group_protocol: classic, static_membership: true}",
    "consumer": "{group_protocol: consumer}",
}


def topology_for(membership: Membership, folder: Path) -> Path:
    """The world's topology in `folder`, with `stages` that say how every stage is in its group."""
    path = folder / f"topology-{membership}.yaml"
    stages = ", ".join(f"{stage}: {_STAGE_SETTINGS[membership]}" for stage in STAGES)
    path.write_text(f"{TOPOLOGY.read_text()}stages: {{{stages}}}\n")
    return path


def apply_topology(environment: dict[str, str], topology: Path = TOPOLOGY) -> int:
    """`headrace topology apply`; the id of the one contract."""
    environment = {
        **environment,
        "HEADRACE_APP": "tests.chaos.domain",
        "HEADRACE_TOPOLOGY": str(topology),
        "HEADRACE_SCHEMAS": str(HERE / "world" / "schemas"),
        "PYTHONPATH": str(ROOT),
    }
    headrace = [sys.executable, "-m", "streams.cli"]
    subprocess.run([*headrace, "topology", "apply"], env=environment, check=True, timeout=120, capture_output=True)
    listed = subprocess.run(
        [*headrace, "schema", "list", "--output", "json"], env=environment, check=True, timeout=60, capture_output=True
    )
    (row,) = json.loads(listed.stdout)
    return int(row["id"])


class Member:
    """One worker process and its successors: a restart keeps instance id and state folder."""

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: dict[str, str],
        topology: Path = TOPOLOGY,
        stages: tuple[str, ...] = STAGES,
    ) -> None:
        self.name = name
        self._stages = stages
        self.port = free_ports(1)[0]
        self.log = folder / f"{name}.log"
        self._environment = {
            **environment,
            "HEADRACE_INSTANCE_ID": name,
            "HEADRACE_STATE_DIR": str(folder / f"state-{name}"),
            "HEADRACE_WEB_PORT": str(self.port),
            "HEADRACE_APP": "tests.chaos.domain",
            "HEADRACE_TOPOLOGY": str(topology),
            "HEADRACE_SCHEMAS": str(HERE / "world" / "schemas"),
            "HEADRACE_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "",  # an installed package is compiled once, not at each start
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_codes: list[int] = []

    def start(self, crash_after: int = 0) -> None:
        environment = {**os.environ, **self._environment, "CHAOS_CRASH_AFTER": str(crash_after)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", *self._stages],
                env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        os.kill(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid(), signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(STOP_S)
        self.exit_codes.append(code)
        return code

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_ready(self, timeout_s: float = 60) -> None:
        await_condition(self.is_ready, timeout_s, f"{self.name} to be ready (see {self.log})")

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
            return found


def start_all(crew: list[Member], timeout_s: float = 60) -> None:
    """All at once, until each is ready."""
    for member in crew:
        member.start()
    for member in crew:
        member.wait_ready(timeout_s)


def stop_all(crew: list[Member]) -> None:
    """SIGTERM for all; each must end with 0."""
    for member in crew:
        if member.running:
            assert member.stop() == 0, f"{member.name} ended with {member.exit_codes[-1]}; see {member.log}"


@contextmanager
def ending(crew: list[Member]) -> Iterator[None]:
    """However the block ends, no worker outlives it."""
    try:
        yield
    finally:
        kill_all(crew)


def kill_all(crew: list[Member]) -> None:
    """Those that still run."""
    for member in crew:
        if member.running:
            member.kill()
