"""Several worker processes on one machine, watched by a parent that passes on signals and ends with them."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

import structlog

from streams.config import Settings

log = structlog.get_logger(__name__)

_STOP_LIMIT_S = 30


def run_processes(settings: Settings, stages: Sequence[str], count: int) -> int:
    """Run `count` workers with instance ids `<id>-<i>` and ports from the configured one upwards.

    When one ends by itself the others are stopped: a supervisor restarts them all. Only that one, and what fails
    with it, is logged as an error; what we ended ourselves is not.

    Returns:
        The exit code: 0 where all ended with 0.
    """
    children = [_start(settings, stages, i) for i in range(count)]
    asked: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        _send(children, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    ended = [child for child in children if not asked and child.poll() is not None]
    for child in ended:
        log.error("a worker process ended by itself", pid=child.pid, exit_code=child.returncode)
    others = [child for child in children if child not in ended]
    if ended and others:
        log.info("ending the others", pids=[child.pid for child in others])
    _send(others, signal.SIGTERM)
    for child in others:
        if _ended(child) > 0:
            log.error("a worker process failed", pid=child.pid, exit_code=child.returncode)
    return int(any(child.returncode for child in children))


def _send(children: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _start(settings: Settings, stages: Sequence[str], number: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "HEADRACE_INSTANCE_ID": f"{settings.instance_id}-{number}",
        "HEADRACE_WEB_PORT": str(settings.web_port + number),
    }
    command = [sys.executable, "-m", "streams.cli", "worker", *stages]
    return subprocess.Popen(command, env=environment)  # noqa: S603 this program itself


def _ended(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        log.warning("a worker process did not stop in time; killing it", pid=child.pid)
        child.kill()
        return child.wait()
