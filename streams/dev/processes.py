"""Starts and watches operating-system processes that are known by pid and start time. Knows no Kafka.

A pid alone may have been given to someone else since; the kernel's start time tells the two apart.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
# The parent-death signal fires when the *thread* that forked ends, so leashed processes are all forked by
# this one, which lives as long as the process: a test may restart a broker from a thread of its own.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leash")


def started_at(pid: int) -> int | None:
    """Start time of a living process (clock ticks since boot; 0 without /proc), None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self").exists() or not _answers(pid) else 0
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return None if state in {"Z", "X"} else int(fields[18])  # proc(5): starttime is field 22, state is 3


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Process:
    """One process, ours (`child`) or one that an earlier command left running."""

    pid: int
    started: int
    child: subprocess.Popen[bytes] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.pid}:{self.started}"

    @classmethod
    def parse(cls, text: str) -> "Process":
        """Read what `str` gave."""
        pid, started = text.split(":")
        return cls(int(pid), int(started))

    def alive(self) -> bool:
        """Whether this very process, not a successor with its pid, still runs."""
        if self.child is not None:
            return self.child.poll() is None
        return started_at(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it is alive."""
        if self.alive():
            os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; False when it has not within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def end(self, timeout_s: float) -> None:
        """Stop it: SIGTERM (awake if it was frozen), and SIGKILL when that has not helped in `timeout_s`."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self.wait(timeout_s):
            self.kill()

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(timeout_s=10)


def launch(command: Sequence[str], log: Path, *, leashed: bool) -> Process:
    """Start `command` in a session of its own (Ctrl-C is for its owner), its output appended to `log`.

    Args:
        command: absolute path and arguments.
        log: file for stdout and stderr.
        leashed: it dies with this process, however that ends; otherwise it stays.
    """
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())] if leashed else []
    with log.open("ab") as output:
        child = _forker.submit(
            subprocess.Popen,
            [*leash, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).result()
    return Process(child.pid, started_at(child.pid) or 0, child)
