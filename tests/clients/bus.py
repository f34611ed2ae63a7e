"""A real bus for clients that are not ours: a broker, what `headrace topology apply` makes, a `headrace worker`."""

import os
import subprocess
import sys
import urllib.request
from collections import Counter
from http import HTTPStatus
from pathlib import Path

from confluent_kafka import Message

from streams.config import Settings
from streams.dev.processes import LEASH
from streams.dev.readiness import await_condition
from streams.engine.topic_reader import read_topics
from tests.clients.programs import Answer, run_bounded

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HEADRACE = Path(sys.executable).with_name("headrace")
STAGES = ("router", "again-classic", "again-consumer")
STOP_S = 40.0
ROUTED_S = 60.0


def source_of(record: Message) -> str:
    headers: list[tuple[str, bytes | None]] = list(record.headers() or [])  # type: ignore[arg-type]  # never a dict
    return (dict(headers).get("ce_source") or b"").decode()


class Bus:
    """See above.

    Args:
        settings: where it is, and the worker's.
        environment: the same for child processes.
        folder: for the worker's log.
    """

    def __init__(self, settings: Settings, environment: dict[str, str], folder: Path) -> None:
        self.settings = settings
        self.environment = environment
        self.folder = folder
        self.bootstrap_servers = settings.bootstrap_servers()
        self._worker: subprocess.Popen[bytes] | None = None

    def with_path(self, folder: Path) -> dict[str, str]:
        """The environment with a folder of programs before all others."""
        return {**self.environment, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def headrace(self, *arguments: str) -> Answer:
        return run_bounded([str(HEADRACE), *arguments], environment=self.environment)

    def start_worker(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                # Leashed: a run that is killed leaves no worker behind that waits for its broker for ever.
                [sys.executable, "-I", "-S", LEASH, str(os.getpid()), HEADRACE, "worker", *STAGES],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_running(self) -> None:
        """Wait until every stage runs."""

        def is_ready() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.web_port}/readyz", timeout=2) as answer:
                    return bool(answer.status == HTTPStatus.OK)
            except OSError:
                return False

        await_condition(is_ready, ROUTED_S, f"the worker, its log is {self.folder / 'worker.log'}")

    def stop_worker(self) -> int:
        """SIGTERM; its exit code."""
        assert self._worker is not None
        self._worker.terminate()
        try:
            return self._worker.wait(STOP_S)
        finally:
            self._worker.kill()

    def records(self, *topics: str) -> list[Message]:
        """All that the topics hold, committed."""
        found: list[Message] = []
        read_topics(self.settings, topics, found.extend)
        return found

    def await_records(self, expected: dict[str, int], source: str) -> list[Message]:
        """Wait until each topic holds as many records of a source (`ce_source`) as expected; return those."""
        found: list[Message] = []

        def are_there() -> bool:
            found[:] = [record for record in self.records(*expected) if source_of(record) == source]
            return Counter(str(record.topic()) for record in found) == expected

        await_condition(are_there, ROUTED_S, f"{expected}, the worker's log is {self.folder / 'worker.log'}")
        return found
