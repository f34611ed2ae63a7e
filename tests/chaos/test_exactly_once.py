"""Three workers under faults: everything at its destination once, in order, unchanged; tables equal to a recount.

`make test` runs it small, `make soak` at full size: RocksDB and memory, one broker and three, and each way of being in
a consumer group. The seed is printed; SOAK_SEED repeats a run.
"""

import json
import os
import random
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import admin_client, await_condition
from streams.engine.group_offsets import committed_offsets
from streams.engine.stage import TP
from tests.chaos import recount, workload
from tests.chaos.crew import HERE, ROOT, TOPOLOGY, Member, Membership, topology_for
from tests.chaos.faults import Faults, schedule


@dataclass(frozen=True)
class Plan:
    """Size of a run."""

    records: int
    faults: int
    rate: float
    brokers: int
    store: str
    membership: Membership
    longest_freeze_s: float
    settle_s: float


REDUCED = Plan(60_000, 6, 3_000, 1, "rocksdb", "classic", 8, 90)
FULL = [
    pytest.param(Plan(5_000_000, 42, 14_000, 1, "rocksdb", "classic", 16, 300), id="rocksdb, one broker, classic"),
    pytest.param(Plan(5_000_000, 42, 14_000, 3, "memory", "consumer", 16, 300), id="memory, three brokers, KIP-848"),
    pytest.param(Plan(1_500_000, 24, 14_000, 3, "rocksdb", "static", 16, 300), id="rocksdb, three brokers, static"),
]

Environment = Callable[[Settings], dict[str, str]]


def test_kills_freezes_and_broker_restarts_lose_and_double_nothing(
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    tmp_path: Path,
) -> None:
    run(REDUCED, kafka_cluster(), settings_for, environment_of, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("plan", FULL)
def test_soak(
    plan: Plan,
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    tmp_path: Path,
) -> None:
    run(plan, kafka_cluster(brokers=plan.brokers, heap_mb=768), settings_for, environment_of, tmp_path)


def run(
    plan: Plan,
    cluster: KafkaCluster,
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    folder: Path,
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    chance = workload.rng(seed)
    kinds = schedule(chance, plan.faults)
    sys.stdout.write(f"\nseed {seed}: {plan} faults {' '.join(kinds)}\n")
    settings = settings_for(cluster.bootstrap_servers, HEADRACE_STORE=plan.store)
    environment = environment_of(settings)
    topology = topology_for(plan.membership, folder)
    schema_id = apply_topology(environment, topology)
    crew = [Member(f"w{n}", folder, environment, topology) for n in range(1, 5)]
    load = workload.Load(settings, plan.records, plan.rate, schema_id)
    faults = Faults(chance, crew, cluster, plan.longest_freeze_s)
    try:
        for member in crew[:-1]:
            member.start()
        for member in crew[:-1]:
            member.wait_ready()
        load.start()
        await_condition(lambda: load.sent > plan.records // 100 or load.error is not None, 60, "the load to start")
        for number, kind in enumerate(kinds, 1):
            faults.inject(kind)
            due = plan.records * number // (len(kinds) + 1)
            await_condition(lambda due=due: load.sent >= due or load.error is not None, 600, "the load")  # type: ignore[misc]
        load.join(600)
        assert load.error is None, load.error
        faults.restart_the_dead()
        settled = settle(settings, crew, plan.settle_s)
        table = table_over_http(crew[0])
        for member in crew:  # one that still imports has no handler of SIGTERM
            if member.running:
                member.wait_ready(90)
        stop_all(crew)
    finally:
        for member in crew:
            if member.running:
                member.kill()
    found = recount.recount_all(settings, plan.records, schema_id, table)
    aborted = recount.aborted_records(settings)
    summary = {
        "seed": seed, "records": plan.records, "store": plan.store, "brokers": plan.brokers, "group": plan.membership,
        "faults": dict(faults.counts), "settled_s": round(settled, 1), "aborted_records_unseen": aborted,
        "differences": dict(found.counts), "unexpected_exits": faults.unexpected,
    }  # fmt: skip
    sys.stdout.write(json.dumps(summary) + "\n")
    assert not found.counts, found.examples
    assert not faults.unexpected, faults.unexpected


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


def settle(settings: Settings, crew: list[Member], timeout_s: float) -> float:
    """Wait until both stages have committed everything; how many seconds that took."""
    started = time.monotonic()
    wanted = {"headrace.router": [workload.INBOUND], "headrace.counting": list(recount.sources_of_counting())}

    def done() -> bool:
        return all(lag_of(settings, group, topics) == 0 for group, topics in wanted.items())

    await_condition(done, timeout_s, f"the stages to commit everything (logs beside {crew[0].log})")
    return time.monotonic() - started


def lag_of(settings: Settings, group: str, topics: list[str]) -> int:
    """Records that `group` has not committed; -1 while that cannot be told."""
    partitions = [TopicPartition(topic, p) for topic in topics for p in range(workload.PARTITIONS)]
    admin = admin_client(settings.bootstrap_servers())
    try:
        committed = committed_offsets(settings.kafka_config(), group, [(p.topic, p.partition) for p in partitions])
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        ends = admin.list_offsets(dict.fromkeys(partitions, latest))
        return sum(end.result(10).offset - committed[TP(p.topic, p.partition)] for p, end in ends.items())
    except (KafkaException, TimeoutError):
        return -1


def table_over_http(member: Member) -> dict[str, int]:
    """The whole table `counting.counts`, page by page, asked of one worker for all."""
    rows: dict[str, int] = {}
    after = ""
    while True:
        page = page_over_http(member, f"/api/tables/counting.counts?limit=1000{after}")
        items = page["items"]
        assert isinstance(items, list)
        rows.update((item["key"], item["value"]) for item in items)
        if page["next"] is None:
            return rows
        after = f"&after={page['next']}"


def page_over_http(member: Member, path: str) -> dict[str, object]:
    """One page; 503 is the right answer while a partition is on its way from one worker to another."""
    pages: list[dict[str, object]] = []

    def answers() -> bool:
        try:
            pages.append(member.get(path))
        except urllib.error.URLError:
            return False
        return True

    await_condition(answers, 90, f"a page of {path} (see {member.log})")
    return pages[0]


def stop_all(crew: list[Member]) -> None:
    """SIGTERM for all; each must end with 0."""
    for member in crew:
        if member.running:
            assert member.stop() == 0, f"{member.name} ended with {member.exit_codes[-1]}; see {member.log}"
