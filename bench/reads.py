"""`python -m bench.reads`: table reads a second of two workers, local and forwarded, with the lease and without.

With the lease means that records flow and commits prove the ownership; without it each read asks the group.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import aiohttp

from bench.processes import Worker, environment
from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.lease import LEASE_S
from streams.engine.raw_producer import RawProducer

KEYS = 200
SECONDS = 4.0
TABLE = "/api/tables/counting.counts"


class Trickle(threading.Thread):
    """A few records a second, so that there are commits."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._enough = threading.Event()

    def run(self) -> None:
        with RawProducer(self._settings, linger_ms=1) as producer:
            number = 0
            while not self._enough.wait(0.02):
                number += 1
                producer.send("counts.inbound", b"1", b"K-%d" % (number % KEYS), timestamp_ms=0, headers=[])
                producer.serve()

    def stop(self) -> None:
        self._enough.set()
        self.join(30)


def owners(port: int) -> dict[str, list[int]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/stages", timeout=10) as answer:
        stages = {stage["name"]: stage for stage in json.load(answer)["items"]}
    return {w["url"]: [p["partition"] for p in w["partitions"]] for w in stages["counting"]["workers"]}


def positions(port: int) -> dict[str, int]:
    """Partition of each key."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{TABLE}?limit=1000", timeout=10) as answer:
        items = json.load(answer)["items"]
    return {item["key"]: int(item["position"].partition("/")[2].partition("=")[0]) for item in items}


async def rate(url: str, keys: list[str], readers: int) -> tuple[float, float]:
    """Reads a second and their median in milliseconds."""
    took: list[float] = []
    end = time.monotonic() + SECONDS

    async def read(session: aiohttp.ClientSession, number: int) -> None:
        while (began := time.monotonic()) < end:
            number += 1
            async with session.get(f"{url}{TABLE}/{keys[number % len(keys)]}") as response:
                await response.read()
                if response.status == 200:
                    took.append(time.monotonic() - began)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(read(session, n) for n in range(readers)))
    return len(took) / SECONDS, statistics.median(took) * 1000 if took else float("nan")


def measure(name: str, url: str, keys: list[str]) -> None:
    for readers in (1, 8):
        reads, median_ms = asyncio.run(rate(url, keys, readers))
        sys.stdout.write(f"{name:<28} {readers} at a time: {reads:>7,.0f} reads/s, median {median_ms:5.2f} ms\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as made, KafkaCluster() as cluster:
        settings = Settings(KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers)
        folder = Path(made)
        apply = [sys.executable, "-m", "streams.cli", "topology", "apply"]
        env = environment(settings, folder)
        subprocess.run(apply, env=env, check=True, capture_output=True, timeout=120)
        workers = [Worker("counting", settings, folder, number) for number in (1, 2)]
        try:
            for worker in workers:
                worker.wait_ready()
            trickle = Trickle(settings)
            trickle.start()
            port = workers[0].port
            await_condition(lambda: len(positions(port)) == KEYS, 60, "all rows")
            url = f"http://127.0.0.1:{port}"
            own = set(owners(port)[url])
            here = [key for key, partition in positions(port).items() if partition in own]
            there = [key for key, partition in positions(port).items() if partition not in own]
            measure("local, with lease", url, here)
            measure("forwarded, with lease", url, there)
            trickle.stop()
            time.sleep(LEASE_S + 1)
            measure("local, asking the group", url, here)
            measure("forwarded, asking the group", url, there)
        finally:
            for worker in workers:
                worker.stop()


if __name__ == "__main__":
    main()
