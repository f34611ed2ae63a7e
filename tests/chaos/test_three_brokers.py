"""Three brokers, replication 3, min ISR 2, under load: what their faults cost, and that they cost nothing else.

After each scenario everything is recounted, and no worker may have ended, nor a record have become a dead letter. How
long output paused, what /readyz said meanwhile and what was logged is printed for each fault
(`pytest -s -m soak tests/chaos/test_three_brokers.py`).

Partitions are cut by a TCP proxy before each listener (`wire.py`): a broker cut from the others goes on answering
clients as the leader and coordinator that it no longer is. Nothing is simulated by stopping a process, but where the
fault is that a process stops.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.config import Settings
from streams.dev.readiness import await_condition
from tests.chaos.crew import Environment
from tests.chaos.trial import COUNTING_PARTS, Trial
from tests.chaos.wire import WiredCluster

BACK_S = 90.0  # a bound for a machine with many others on it; what it takes is printed
CUT_S = 15.0  # longer than message.timeout (5 s), the group's session (6 s) and the transaction's timeout (10 s)


@pytest.fixture
def trial(settings_for: Callable[..., Settings], environment_of: Environment, tmp_path: Path) -> Iterator[Trial]:
    with WiredCluster() as cluster:
        cluster.wait_in_sync()
        settings = settings_for(cluster.bootstrap_servers, HEADRACE_STORE="memory")
        with Trial(cluster, settings, environment_of(settings), tmp_path) as started:
            yield started


def test_a_coordinator_that_dies_costs_a_pause_and_nothing_else(trial: Trial) -> None:
    lose(trial, "group coordinator", trial.cluster.kill)
    trial.verdict()


@pytest.mark.soak
@pytest.mark.parametrize("part", COUNTING_PARTS)
def test_a_broker_that_dies_or_is_stopped_may_have_any_part_in_a_transaction(trial: Trial, part: str) -> None:
    for _ in range(3):
        lose(trial, part, trial.cluster.kill)
        lose(trial, part, trial.cluster.stop)
    trial.verdict()


@pytest.mark.soak
@pytest.mark.parametrize("part", COUNTING_PARTS)
def test_a_broker_cut_from_the_others_still_answers_clients(trial: Trial, part: str) -> None:
    node = trial.holder(part)
    with trial.measured(f"{part} cut from the other brokers"):
        trial.cluster.isolate(node)
        trial.endure(CUT_S)
        trial.cluster.heal()
        trial.await_flow(BACK_S, "output after the cut has healed")
    trial.cluster.wait_in_sync()
    trial.verdict()


@pytest.mark.soak
@pytest.mark.parametrize("part", COUNTING_PARTS)
def test_a_broker_that_clients_cannot_reach_still_leads(trial: Trial, part: str) -> None:
    node = trial.holder(part)
    with trial.measured(f"{part} cut from all clients"):
        trial.cluster.seclude(node)
        with held_up(trial):
            trial.endure(CUT_S)
        trial.cluster.heal()
        trial.await_flow(BACK_S, "output after the cut has healed")
    trial.verdict()


@pytest.mark.soak
def test_a_rolling_restart_of_the_brokers(trial: Trial) -> None:
    for _ in range(2):
        for node in list(trial.cluster.brokers):
            with trial.measured(f"broker {node} restarted"):
                trial.cluster.restart(node)
                trial.await_flow(BACK_S, "output after a restart")
            trial.cluster.wait_in_sync()
    trial.verdict()


@pytest.mark.soak
def test_min_isr_lost_for_a_moment(trial: Trial) -> None:
    lose_min_isr(trial, trial.cluster.pause, trial.cluster.resume, 7)
    trial.verdict()


@pytest.mark.soak
def test_min_isr_and_quorum_lost_for_longer_than_every_timeout(trial: Trial) -> None:
    lose_min_isr(trial, trial.cluster.pause, trial.cluster.resume, 25)
    lose_min_isr(trial, trial.cluster.kill, trial.cluster.restart, 25)
    trial.verdict()


def lose(trial: Trial, part: str, end: Callable[[int], None]) -> None:
    """End the broker that has a part; output must come back without it."""
    node = trial.holder(part)
    with trial.measured(f"{end.__name__} of the {part}"):
        end(node)
        trial.await_flow(BACK_S, f"output without broker {node}")
    trial.cluster.restart(node)
    trial.cluster.wait_in_sync()
    trial.await_flow(BACK_S, f"output with broker {node} again")


def lose_min_isr(trial: Trial, end: Callable[[int], None], begin: Callable[[int], None], away_s: float) -> None:
    """Two of three brokers go for `away_s` seconds: nothing can be committed, and each worker says so."""
    with trial.measured(f"{end.__name__} of two brokers for {away_s:g} s"):
        for node in (1, 2):
            end(node)
        with held_up(trial):
            trial.endure(away_s)
        for node in (1, 2):
            begin(node)
        trial.await_flow(BACK_S, "output after min ISR is regained")
    trial.cluster.wait_in_sync()


@contextmanager
def held_up(trial: Trial) -> Iterator[None]:
    """Meanwhile every worker must have said, of each of its stages, that it waits."""
    yield
    await_condition(trial.all_have_told, BACK_S, "every worker to say what it waits for")
