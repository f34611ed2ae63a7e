"""Reads while workers come and go: no answer is older than what the reader, or anybody before it, was told.

`make test` runs a few thousand reads, `make soak` 100,000, for each kind of membership. SOAK_SEED repeats the faults.
"""

import collections
import json
import random
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
    Environment,
    Member,
    Membership,
    apply_topology,
    ending,
    start_all,
    stop_all,
    topology_for,
)
from tests.chaos.reading import NO_ANSWER, PATIENCE_S, Ledger, Reader, Scanner, Visitors, Writer, ask

SESSION_S = SESSION_TIMEOUT_MS / 1000
KEYS = tuple(f"Q-{n:02}" for n in range(40))


@dataclass(frozen=True)
class Plan:
    """Size of a run."""

    reads: int
    faults: tuple[str, ...]
    readers: int
    membership: Membership = "classic"


FULL = 8 * ("freeze", "kill", "freeze", "stop", "join", "freeze")


def test_no_reader_gets_a_stale_owners_answer(settings: Settings, environment_of: Environment, tmp_path: Path) -> None:
    run(Plan(2_000, ("freeze",), 12), settings, environment_of, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("membership", ["classic", "static", "consumer"])
def test_soak(
    membership: Membership,
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
    environment_of: Environment,
    tmp_path: Path,
) -> None:
    settings = settings_for(kafka_cluster().bootstrap_servers)
    run(Plan(100_000, FULL, 12, membership), settings, environment_of, tmp_path)


class Unrest:
    """Workers that are frozen past their session, killed, stopped and joined, one at a time."""

    def __init__(self, chance: random.Random, crew: list[Member], ledger: Ledger) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._ledger = ledger
        self.counts: collections.Counter[str] = collections.Counter()
        self._chance = chance
        self._crew = crew

    def inject(self, kind: str) -> None:
        getattr(self, f"_{kind}")()
        self.counts[kind] += 1
        for member in self._crew[:3]:
            member.wait_ready()

    def _freeze(self) -> None:
        victim = self._chance.choice(self._crew[:3])
        visitors = Visitors(self._ledger, victim, KEYS)
        victim.freeze()
        time.sleep(self._chance.uniform(SESSION_S + 1.5, SESSION_S + 3))  # how long it is away is the fault
        visitors.ask()
        victim.thaw()
        visitors.hear()
        self.statuses += visitors.statuses
        self.wrong += visitors.wrong

    def _kill(self) -> None:
        victim = self._chance.choice(self._crew[:3])
        victim.kill()
        victim.start()

    def _stop(self) -> None:
        victim = self._chance.choice(self._crew[:3])
        assert victim.stop() == 0
        victim.start()

    def _join(self) -> None:
        extra = self._crew[3]
        if extra.running:
            assert extra.stop() == 0
        else:
            extra.start()
            extra.wait_ready()


def run(plan: Plan, settings: Settings, environment_of: Environment, folder: Path) -> None:
    seed = workload.chosen_seed()
    environment, topology = environment_of(settings), topology_for(plan.membership, folder)
    apply_topology(environment, topology)
    crew = [Member(f"w{n}", folder, environment, topology, ("counting",)) for n in range(1, 5)]
    ledger = Ledger()
    writer = Writer(settings, ledger, KEYS, rate=100)
    readers = [Reader(ledger, crew, KEYS, n) for n in range(plan.readers)]
    scanner = Scanner(crew, KEYS)
    asking: tuple[Reader | Scanner, ...] = (*readers, scanner)
    unrest = Unrest(random.Random(seed), crew, ledger)
    with ending(crew):
        start_all(crew[:3])
        writer.start()
        await_condition(lambda: len(ledger.written) == len(KEYS), 60, "a record of every key")
        await_condition(lambda: all_there(crew[0]), 60, "a row of every key")
        began = time.monotonic()
        for each in asking:
            each.start()
        create_unrest(plan, unrest, readers)
        for each in asking:
            each.stop()
        for each in asking:
            each.join(PATIENCE_S + 5)
        took = time.monotonic() - began
        writer.stop()
        stop_all(crew)
    statuses = sum((reader.statuses for reader in readers), unrest.statuses)
    wrong = [wrong for each in (*asking, unrest) for wrong in each.wrong]
    summary = {
        "seed": seed, "membership": plan.membership, "reads": statuses.total(),
        "seconds": round(took, 1), "faults": dict(unrest.counts), "statuses": dict(sorted(statuses.items())),
        "whole scans": scanner.scans, "wrong": len(wrong),
    }  # fmt: skip
    sys.stdout.write("\n" + json.dumps(summary) + "\n")
    assert wrong[:10] == []
    assert not writer.errors
    assert scanner.scans > 0


def all_there(member: Member) -> bool:
    status, body = ask(member, "/api/tables/counting.counts?limit=1000", {})
    items = body.get("items")
    return status == 200 and isinstance(items, list) and len(items) == len(KEYS)


def create_unrest(plan: Plan, unrest: Unrest, readers: list[Reader]) -> None:
    """All faults one after the other, and calm until so many reads have been answered."""

    def answered() -> bool:
        counted = [(kind, n) for reader in readers for kind, n in list(reader.statuses.items())]
        return sum(n for kind, n in counted if not kind.endswith(NO_ANSWER)) >= plan.reads

    for kind in plan.faults:
        unrest.inject(kind)
    await_condition(answered, 600, f"{plan.reads} reads")
