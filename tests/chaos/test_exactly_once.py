"""Three workers under faults: everything at its destination once, in order, unchanged; tables equal to a recount.

`make test` runs it small, `make soak` at full size: RocksDB and memory, one broker and three, and each way of being in
a consumer group. The seed is printed; SOAK_SEED repeats a run.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from tests.chaos import recount, workload
from tests.chaos.crew import (
    Environment,
    Member,
    Membership,
    apply_topology,
    ending,
    start_all,
    stop_all,
    topology_for,
)
from tests.chaos.faults import Faults, schedule
from tests.chaos.reading import table_over_http
from tests.chaos.settling import settle


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
    seed = workload.chosen_seed()
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
    with ending(crew):
        start_all(crew[:-1])
        load.start()
        await_condition(lambda: load.sent > plan.records // 100 or load.error is not None, 60, "the load to start")
        inject_all(kinds, plan, load, faults)
        load.join(600)
        assert load.error is None, load.error
        faults.restart_the_dead()
        settled = settle(settings, crew, plan.settle_s)
        table = table_over_http(crew[0])
        await_ready(crew)  # one that still imports has no handler of SIGTERM
        stop_all(crew)
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


def inject_all(kinds: list[str], plan: Plan, load: workload.Load, faults: Faults) -> None:
    """One fault after the other, spread over the records."""
    for number, kind in enumerate(kinds, 1):
        faults.inject(kind)
        due = plan.records * number // (len(kinds) + 1)
        await_condition(lambda due=due: load.sent >= due or load.error is not None, 600, "the load")  # type: ignore[misc]


def await_ready(crew: list[Member]) -> None:
    """Those that run."""
    for member in crew:
        if member.running:
            member.wait_ready(90)
