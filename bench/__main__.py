"""`python -m bench`: the engine against a bare librdkafka loop, both in this run, on a broker of its own.

Ratios are the result: machines differ, and so does one machine from minute to minute. Each pair runs twice, in turn,
and the better run of each side counts.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from bench import messages
from bench.latency import latency
from bench.processes import ROOT, WORLD, Worker, environment, measure
from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import admin_client
from streams.engine.raw_producer import RawProducer

say = sys.stdout.write


class Bench:
    """One broker, one set of records, and the figures."""

    def __init__(self, settings: Settings, folder: Path, records: int, rounds: int) -> None:
        self.settings = settings
        self.folder = folder
        self.records = records
        self.rounds = rounds
        self._number = 0

    def fresh(self) -> Path:
        """A state folder that nobody has used."""
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir()
        return folder

    def prepare(self) -> None:
        run = [sys.executable, "-m", "streams.cli"]
        env = environment(self.settings, self.folder)
        subprocess.run([*run, "topology", "apply"], env=env, check=True, capture_output=True, timeout=120)
        listed = subprocess.run(
            [*run, "schema", "list", "--output", "json"], env=env, check=True, capture_output=True, timeout=60
        )
        self.values = messages.orders(int(json.loads(listed.stdout)[0]["id"]), WORLD / "schemas")
        admin = admin_client(self.settings.bootstrap_servers())
        new = NewTopic("bare.changelog", 4, 1, config={"cleanup.policy": "compact"})
        admin.create_topics([new])["bare.changelog"].result(30)
        started = time.monotonic()
        with RawProducer(self.settings) as producer:
            for i in range(self.records):
                key = b"K-%d" % (i * 7919 % messages.KEYS)
                value = self.values[i % messages.VARIETY]
                producer.send("bench.inbound", value, key, timestamp_ms=0, headers=messages.headers(i))
                producer.send("counts.inbound", b"%d" % i, key, timestamp_ms=0, headers=[])
        took = time.monotonic() - started
        say(f"{self.records:,} records of {len(self.values[0])} bytes in each source, in {took:.0f} s\n")

    def bare(self, job: str, *more: str) -> dict[str, float]:
        command = [sys.executable, "-m", "bench.bare", job, str(self.records), *more]
        env = environment(self.settings, self.fresh())
        done = subprocess.run(command, env=env, check=True, capture_output=True, timeout=900, cwd=ROOT)
        found: dict[str, float] = json.loads(done.stdout)
        return found

    def engine(self, stage: str, processes: int = 1) -> dict[str, float]:
        folder = self.fresh()
        self._reset(stage)
        workers = [Worker(stage, self.settings, folder, n) for n in range(processes)]
        try:
            return measure(workers, self.records)
        finally:
            for worker in workers:
                worker.stop()

    def _reset(self, stage: str) -> None:
        """Everything again from the start: offsets to 0, and for a stage with a table its changelog emptied."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition  # noqa: PLC0415

        admin = admin_client(self.settings.bootstrap_servers())
        source = "bench.inbound" if stage == "router" else "counts.inbound"
        changelog = f"headrace.{stage}.{'routes' if stage == 'router' else 'counts'}.changelog"
        group = f"headrace.{stage}"
        starts = [TopicPartition(source, p, 0) for p in range(4)]
        answer = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, starts)])[group].result(30)
        refused = [p.error for p in answer.topic_partitions if p.error is not None]
        if refused:
            raise RuntimeError(f"the offsets of {group} could not be reset: {refused[0]}")
        admin.delete_topics([changelog])[changelog].result(30)
        subprocess.run(
            [sys.executable, "-m", "streams.cli", "topology", "apply"],
            env=environment(self.settings, self.folder), check=True, capture_output=True, timeout=120,
        )  # fmt: skip

    def best(self, *runs: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
        """Each run `rounds` times, in turn; the one with the least CPU of each."""
        results: list[list[dict[str, float]]] = [[] for _ in runs]
        for _ in range(self.rounds):
            for result, run in zip(results, runs, strict=True):
                result.append(run())
        return [min(result, key=lambda figures: figures["cpu_s"] / figures["records"]) for result in results]

    def restore(self) -> None:
        """A cold start of the counting stage: its changelog has one row a key and update cycle."""
        folder = self.fresh()
        worker = Worker("counting", self.settings, folder)
        worker.wait_ready()
        seconds = time.monotonic() - worker.started_at
        log = worker.log.read_text()
        worker.stop()
        parts = [(int(r), float(s)) for r, s in re.findall(r'"records": ?(\d+).*?"seconds": ?([\d.]+)', log)]
        rows, took = sum(r for r, _ in parts), max((s for _, s in parts), default=0.0)
        rate = rows / max(took, 0.01)
        say(f"restore, cold: {rows:,} records in {took:.2f} s = {rate:,.0f}/s; ready {seconds:.1f} s after start\n")


def line(name: str, figures: dict[str, float]) -> None:
    per_million = figures["cpu_s"] / figures["records"] * 1e6
    rate = figures["records"] / figures["wall_s"]
    memory = f", {figures['memory_mb']:.0f} MB" if "memory_mb" in figures else ""
    say(f"{name:<32} {per_million:6.2f} CPU s a million, {rate:>9,.0f}/s{memory}\n")


def ratio(name: str, engine: dict[str, float], bare: dict[str, float], limit: float) -> None:
    found = engine["cpu_s"] / engine["records"] / (bare["cpu_s"] / bare["records"])
    say(f"  {name}: CPU {found:.2f} times (at most {limit:.2f} is wanted)\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, KafkaCluster(heap_mb=1024) as cluster:
        folder = Path(made)
        settings = Settings(KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers)
        bench = Bench(settings, folder, given.records, given.rounds)
        bench.prepare()
        engine, bare, skipping = bench.best(
            lambda: bench.engine("router"), lambda: bench.bare("route"), lambda: bench.bare("route", "skip")
        )
        line("routing, Headrace", engine)
        line("routing, bare loop", bare)
        line("routing, bare loop + skip-reader", skipping)
        ratio("against the bare loop", engine, bare, 1.15)
        ratio("against the bare loop with our skip-reader in it", engine, skipping, 1.15)
        two = bench.engine("router", processes=2)
        line("routing, two processes", two)
        gain = two["records"] / two["wall_s"] / (engine["records"] / engine["wall_s"])
        say(f"  two processes: {gain:.2f} times one (1.50 is wanted)\n")
        engine, bare = bench.best(lambda: bench.engine("counting"), lambda: bench.bare("count"))
        line("counting (RocksDB), Headrace", engine)
        line("counting (RocksDB), bare loop", bare)
        ratio("against the bare loop", engine, bare, 1.25)
        bench.restore()
        worker = Worker("router", settings, bench.fresh())
        worker.wait_ready()
        found = latency(settings, bench.values)
        worker.stop()
        say(
            f"latency at 200/s: median {found['median_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
            f"max {found['max_ms']:.1f} ms of {found['received']:.0f} (median 25 ms is wanted)\n"
        )


if __name__ == "__main__":
    main()
