"""Worker processes of tests: started with a stage's spec, ended by signal, their last words read."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.config import Settings
from streams.engine.stage import StageSpec
from tests.integration.engine.stage_worker import argument_of

STOP_LIMIT_S = 30.0  # the design's bound from SIGTERM to the end
ROOT = Path(__file__).parents[3]


class Child:
    """One `stage_worker` process; its stderr goes to a file."""

    def __init__(self, specs: tuple[StageSpec, ...], environment: dict[str, str], log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.integration.engine.stage_worker", *map(argument_of, specs)]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stderr=stderr, stdout=stderr, stdin=subprocess.DEVNULL
            )

    def await_log(self, text: str, timeout_s: float = 30.0) -> None:
        """Wait until it has logged `text`; not longer than it lives."""
        end = time.monotonic() + timeout_s
        while text not in self.words():
            assert self.process.poll() is None, self.words()
            assert time.monotonic() < end, self.words()
            time.sleep(0.05)

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def last_line(self) -> str:
        return self.words().rstrip().rpartition("\n")[2]

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_LIMIT_S)
        return code, time.monotonic() - started

    def wait(self, timeout_s: float = 60.0) -> int:
        return self.process.wait(timeout_s)


Environment = Callable[[Settings], dict[str, str]]
StartChild = Callable[..., Child]


@contextmanager
def child_starter(environment_of: Environment, folder: Path) -> Iterator[StartChild]:
    """A function `start(settings, *specs)`; what it started is killed in the end."""
    children: list[Child] = []

    def start(settings: Settings, *specs: StageSpec) -> Child:
        child = Child(specs, environment_of(settings), folder / f"worker-{len(children)}.log")
        children.append(child)
        return child

    try:
        yield start
    finally:
        for child in children:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait(10)
