"""What a stage says of itself while Kafka keeps it waiting."""

import time

import pytest

from streams.engine.health import Health
from streams.engine.meter import Meter
from streams.engine.status import StageState


@pytest.fixture
def stage() -> Health:
    return Health("orders", Meter("orders"))


@pytest.mark.parametrize("state", ["starting", "restoring", "running"])
def test_a_stage_that_waits_is_not_ready(stage: Health, state: StageState) -> None:
    stage.become(state)
    stage.wait_for("waiting for the transaction coordinator")
    assert stage.told() == ("waiting", "waiting for the transaction coordinator")
    stage.become("running")
    assert stage.told() == ("running", "")


@pytest.mark.parametrize("state", ["stopping", "failed"])
def test_what_ends_goes_on_ending_while_it_waits(stage: Health, state: StageState) -> None:
    stage.become(state)
    stage.wait_for("waiting for the transaction coordinator")
    assert stage.state == state


def test_a_stage_that_is_held_up_says_in_what(stage: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stage.become("running")
    stage.doing("waiting for Kafka to commit")
    assert stage.told() == ("running", "")
    now += 7
    assert stage.told() == ("waiting", "waiting for Kafka to commit, for 7 s now")
    stage.doing("")  # agents at work
    now += 7
    assert stage.told() == ("running", "")
