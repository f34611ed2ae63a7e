import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streams.dev.processes import Process, launch, started_at

SLEEP = str(shutil.which("sleep"))


def test_a_process_is_found_again_by_pid_and_start_time(tmp_path: Path) -> None:
    mine = launch([SLEEP, "60"], tmp_path / "log", leashed=False)
    found = Process.parse(str(mine))
    assert found == mine
    assert found.alive()
    mine.kill()
    assert not found.alive()


def test_a_successor_with_the_same_pid_is_not_taken_for_it() -> None:
    now = started_at(os.getpid())
    assert now is not None
    assert Process(os.getpid(), now).alive()
    assert not Process(os.getpid(), now - 1).alive()


def test_a_process_that_ended_but_was_not_reaped_is_not_alive() -> None:
    child = subprocess.Popen([SLEEP, "60"])
    seen = Process(child.pid, started_at(child.pid) or 0)
    child.kill()
    try:
        assert seen.wait(timeout_s=10)
    finally:
        child.wait()


def test_a_frozen_process_is_woken_to_end_cleanly(tmp_path: Path) -> None:
    process = launch([SLEEP, "60"], tmp_path / "log", leashed=False)
    process.signal(signal.SIGSTOP)
    process.end(timeout_s=10)
    assert not process.alive()
    assert process.child is not None
    assert process.child.returncode == -signal.SIGTERM


def test_what_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = launch([sys.executable, "-c", deaf], tmp_path / "log", leashed=False)
    while "deaf" not in (tmp_path / "log").read_text():
        assert process.alive()
    process.end(timeout_s=0.2)
    assert not process.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_leashed_process_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(launch([SLEEP, "60"], tmp_path / "log", leashed=True)))
    thread.start()
    thread.join()
    assert not started[0].wait(timeout_s=0.5)
    started[0].kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_leashed_process_dies_with_its_owner(tmp_path: Path) -> None:
    owner = (
        "import sys, time; from pathlib import Path; from streams.dev.processes import launch\n"
        f"print(launch([{SLEEP!r}, '60'], Path({str(tmp_path / 'log')!r}), leashed=True), flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Process.parse(parent.stdout.readline().strip())
        assert child.alive()
        parent.kill()
        assert child.wait(timeout_s=10)
