"""Worker processes of the benchmark and what the operating system says of them."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from streams.config import Settings
from streams.dev.ports import free_ports
from streams.dev.readiness import await_condition

WORLD = Path(__file__).parent / "world"
ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "HEADRACE_TOPOLOGY": str(WORLD / "topology.yaml"),
        "HEADRACE_SCHEMAS": str(WORLD / "schemas"),
        "HEADRACE_APP": "bench.counting",
        "HEADRACE_STATE_DIR": str(folder),
        "HEADRACE_LOG_FORMAT": "json",
        "PYTHONPATH": str(ROOT),
    }


class Worker:
    """One `headrace worker STAGE` process."""

    def __init__(self, stage: str, settings: Settings, folder: Path, number: int = 1) -> None:
        self.port = free_ports(1)[0]
        self.log = folder / f"{stage}-{number}.log"
        self._stage = stage
        more = {"HEADRACE_WEB_PORT": str(self.port), "HEADRACE_INSTANCE_ID": f"bench-{number}"}
        self.started_at = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", stage],
                env={**environment(settings, folder), **more}, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def cpu_s(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def peak_memory_mb(self) -> int:
        """Largest resident size so far."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self._process.pid}/status").read_text())
        return int(found[1]) // 1024 if found else 0

    @property
    def records(self) -> int:
        """Records of committed transactions."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return 0
        found = re.search(rf'^headrace_records_total{{stage="{self._stage}"}} (\S+)', text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_ready(self, timeout_s: float = 120) -> None:
        await_condition(self.ready, timeout_s, f"the worker (see {self.log})")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def measure(workers: list[Worker], records: int, timeout_s: float = 600) -> dict[str, float]:
    """Wall and CPU seconds of `workers` from their first committed records to their last.

    The first sample with records is the start, so neither interpreter start-up nor imports count.
    """
    base = _sample(workers, 1, timeout_s)
    end = _sample(workers, records, timeout_s)
    return {
        "records": end[0] - base[0],
        "wall_s": end[1] - base[1],
        "cpu_s": end[2] - base[2],
        "memory_mb": max(worker.peak_memory_mb for worker in workers),
    }


def _sample(workers: list[Worker], records: int, timeout_s: float) -> tuple[int, float, float]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        count = sum(worker.records for worker in workers)
        if count >= records:
            return count, time.monotonic(), sum(worker.cpu_s for worker in workers)
        time.sleep(0.5)  # each look costs the worker some milliseconds
    raise TimeoutError(f"{records} records were not committed in {timeout_s:.0f} s")
