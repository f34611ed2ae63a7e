"""Three workers restarted one after the other under load: what moves, how long each partition stands still."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.clients import SESSION_TIMEOUT_MS
from tests.chaos import workload
from tests.chaos.crew import (
    STAGES,
    Environment,
    Member,
    Membership,
    apply_topology,
    ending,
    stop_all,
    topology_for,
)
from tests.chaos.moves import Move, moves, shares
from tests.chaos.pauses import Watch, watched_load
from tests.chaos.recount import recount_all
from tests.chaos.settling import settle

RATE = 1_200
SESSION_S = SESSION_TIMEOUT_MS / 1000


@dataclass(frozen=True, slots=True)
class Restart:
    """One worker's restart: how long it was not ready, and what changed hands."""

    name: str
    away_s: float
    moved: list[Move]


@pytest.mark.soak
@pytest.mark.parametrize("membership", ["static", "classic", "consumer"])
def test_a_rolling_restart_moves_no_partition_needlessly(
    membership: Membership,
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    tmp_path: Path,
) -> None:
    settings = settings_for(kafka_cluster().bootstrap_servers)
    environment, topology = environment_of(settings), topology_for(membership, tmp_path)
    schema_id = apply_topology(environment, topology)
    crew = [Member(f"w{n}", tmp_path, environment, topology) for n in range(1, 4)]
    with ending(crew):
        start(crew)
        with watched_load(settings, RATE, schema_id) as (load, watch):
            restarts = [restart(member, crew) for member in crew]
            await_growth(watch)
        settle(settings, crew, 60)
        stop_all(crew)
    pauses = watch.longest_pauses()
    away = ", ".join(f"{each.away_s:.1f} s" for each in restarts)
    sys.stdout.write(f"\n{membership}: workers away {away}; moves {[len(each.moved) for each in restarts]}; ")
    sys.stdout.write("longest pause by partition ")
    sys.stdout.write(", ".join(f"{partition}: {pause:.2f} s" for partition, pause in pauses.items()) + "\n")
    assert not recount_all(settings, load.sent, schema_id).examples
    for each in restarts:
        assert_needed(each, membership)
    assert len(pauses) == workload.PARTITIONS
    assert max(pauses.values()) < SESSION_S


def start(crew: list[Member]) -> None:
    """All of them, until each has its share."""
    for member in crew:
        member.start()
    await_shared(crew)


def await_shared(crew: list[Member]) -> None:
    """Every worker is ready, every partition is owned, and nobody has more than its share."""
    logs, share = [member.log for member in crew], -(-workload.PARTITIONS // len(crew))

    def shared() -> bool:
        owned = shares(logs)
        return all(
            sum(map(len, owned.get(stage, {}).values())) == workload.PARTITIONS
            and max(map(len, owned[stage].values())) <= share
            for stage in STAGES
        )

    for member in crew:
        member.wait_ready()
    await_condition(shared, 30, f"partitions to be shared (see {logs[0].parent})")


def restart(member: Member, crew: list[Member]) -> Restart:
    """Restart one worker as docs/operations.md says; what moved until all was shared again."""
    logs = [each.log for each in crew]
    before, stopped = len(moves(logs)), time.monotonic()
    assert member.stop() == 0, member.log
    member.start()
    member.wait_ready()
    away_s = time.monotonic() - stopped
    await_shared(crew)
    return Restart(member.name, away_s, moves(logs)[before:])


def await_growth(watch: Watch) -> None:
    seen = watch.seen
    await_condition(lambda: watch.seen > seen + RATE // 2, 30, "outputs to flow")


def assert_needed(restarted: Restart, membership: Membership) -> None:
    """Nothing moved with static membership; else only from the restarted worker and to it, a share at most."""
    if membership == "static":
        assert restarted.moved == []
    share = workload.PARTITIONS // 3
    for stage in STAGES:
        of_stage = [move for move in restarted.moved if move.stage == stage]
        assert all(restarted.name in {move.giver, move.taker} for move in of_stage), of_stage
        for side in ("giver", "taker"):
            assert sum(getattr(move, side) == restarted.name for move in of_stage) <= share, of_stage
