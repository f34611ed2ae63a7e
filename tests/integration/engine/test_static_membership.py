"""Static members: a successor takes the place, one that was fenced for nothing comes back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer  # noqa: TID251 another member with the same instance id
from structlog.testing import capture_logs

from streams.dev.readiness import await_condition
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import counting_app
from tests.integration.engine.load import assert_exactly_once, loading
from tests.integration.engine.stages import WAIT_S, Bench, running


@contextmanager
def usurper(bench: Bench) -> Iterator[None]:
    """Another consumer with the stage's `group.instance.id`, which has been given partitions."""
    conf: dict[str, Any] = {
        **bench.settings.kafka_config(),
        "group.id": bench.spec.group,
        "group.instance.id": bench.settings.instance_id,
        "partition.assignment.strategy": "cooperative-sticky",
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
    }
    consumer = Consumer(conf)
    consumer.subscribe([bench.spec.lead])
    end = time.monotonic() + WAIT_S
    while not consumer.assignment():
        consumer.poll(0.1)
        assert time.monotonic() < end
    try:
        yield
    finally:
        consumer.close()


def test_a_member_that_was_fenced_once_joins_again_and_loses_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=2, followers=1, static_membership=True)
    with capture_logs() as logs, running(counting_app(bench.spec, bench.settings)) as stage:
        with loading(bench) as load:
            stage.await_state("running")
            bench.await_first_commit()
            with usurper(bench):
                await_condition(
                    lambda: any(entry["event"].startswith("fenced out") for entry in logs),
                    WAIT_S,
                    f"a fencing in {logs}",
                )
            seen = load.count
            await_condition(lambda: load.count > seen + 1_000, WAIT_S, "records to flow")
        bench.await_all_committed()
        assert stage.failure is None
    assert_exactly_once(bench, load)
