"""What a crash costs a worker with many keys: with its store a moment, without it the session and a restore."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.clients import SESSION_TIMEOUT_MS
from streams.engine.raw_producer import RawProducer
from tests.chaos import workload
from tests.chaos.crew import Environment, Member, Membership, apply_topology, kill_all, stop_all, topology_for
from tests.chaos.moves import shares
from tests.chaos.pauses import watched_load
from tests.chaos.recount import CHANGELOG

RATE = 1_000
MakeWorld = Callable[[Membership, int], "World"]


@dataclass(frozen=True)
class World:
    """A counting stage whose table has many keys, before its first worker starts."""

    settings: Settings
    crew: list[Member]
    schema_id: int

    def start(self, member: Member) -> None:
        member.start()
        member.wait_ready(120)


@pytest.fixture
def make_world(
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    tmp_path: Path,
) -> Iterator[MakeWorld]:
    made: list[Member] = []

    def make(membership: Membership, keys: int) -> World:
        settings = settings_for(kafka_cluster(heap_mb=512).bootstrap_servers)
        environment, topology = environment_of(settings), topology_for(membership, tmp_path)
        schema_id = apply_topology(environment, topology)
        with RawProducer(settings) as producer:
            for n in range(keys):
                producer.send(CHANGELOG, b"%d" % n, b"old-%07d" % n, timestamp_ms=0, headers=[])
        made.extend(Member(f"w{n}", tmp_path, environment, topology) for n in (1, 2))
        return World(settings, made, schema_id)

    yield make
    kill_all(made)


def restored_by(member: Member, since: int = 0) -> list[dict[str, Any]]:
    """The `restored` lines of the counting stage, from a line of its log on."""
    lines = member.log.read_text().splitlines()[since:]
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert not [line for line in said if line["event"].startswith("wiping")]
    return [line for line in said if line["event"] == "restored" and line["changelog"].startswith(CHANGELOG)]


def tell(what: str) -> None:
    sys.stdout.write(f"\n{what}\n")


@pytest.mark.parametrize(
    ("keys", "bound_s"),
    [
        pytest.param(20_000, SESSION_TIMEOUT_MS / 1000, id="20,000 keys"),
        pytest.param(1_000_000, 2.0, id="1,000,000 keys", marks=pytest.mark.soak),
    ],
)
def test_a_killed_worker_is_back_with_what_its_store_has(make_world: MakeWorld, keys: int, bound_s: float) -> None:
    world = make_world("static", keys)
    worker = world.crew[0]
    world.start(worker)
    with watched_load(world.settings, RATE, world.schema_id) as (load, watch):
        logged = len(worker.log.read_text().splitlines())
        worker.kill()
        sent, started = load.sent, time.monotonic()
        worker.start()
        await_condition(lambda: len(watch.first_from(sent)) == workload.PARTITIONS, 60, f"outputs (see {worker.log})")
        back = [at - started for at in watch.first_from(sent).values()]
        worker.wait_ready()
    missed = sum(line["records"] for line in restored_by(worker, logged))
    stop_all(world.crew)
    tell(f"{keys:,} keys, killed and started: first output after {min(back):.2f} s, all partitions {max(back):.2f} s, "
         f"{missed} changelog records missed")  # fmt: skip
    assert missed < RATE
    assert max(back) < bound_s


@pytest.mark.soak
def test_another_worker_takes_over_what_a_lost_machine_had(make_world: MakeWorld) -> None:
    keys = 1_000_000
    world = make_world("classic", keys)
    lost, other = world.crew
    world.start(lost)  # alone at first: the other one has never had what stays with it
    world.start(other)
    logs = [lost.log, other.log]
    await_condition(lambda: shares(logs)["counting"].keys() == {"w1", "w2"}, 60, "both to have partitions")
    for member in world.crew:
        member.wait_ready(120)
    had = shares(logs)["counting"]["w1"]
    with watched_load(world.settings, RATE, world.schema_id) as (load, watch):
        logged = len(other.log.read_text().splitlines())
        sent, killed = load.sent, time.monotonic()
        lost.kill()
        await_condition(lambda: had <= watch.first_from(sent).keys(), 120, f"outputs (see {other.log})")
        back = max(watch.first_from(sent)[partition] for partition in had) - killed
    restored = restored_by(other, logged)
    stop_all(world.crew)
    records, seconds = sum(line["records"] for line in restored), max(line["seconds"] for line in restored)
    tell(f"{len(had)} of {workload.PARTITIONS} partitions of {keys:,} keys lost: back after {back:.1f} s, of which "
         f"{seconds:.1f} s restored {records:,} records, {records / seconds:,.0f} a second")  # fmt: skip
    assert records >= keys * len(had) // workload.PARTITIONS * 0.9
    assert records / seconds >= 150_000
    assert back < SESSION_TIMEOUT_MS / 1000 + seconds + 5
