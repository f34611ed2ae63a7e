"""Two workers of a stage: who joins and leaves moves partitions, lead and followers together, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.app import StageApp
from tests.integration.engine.children import StartChild
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import counting_app
from tests.integration.engine.load import assert_exactly_once, loading
from tests.integration.engine.stages import WAIT_S, Bench, running

OtherSettings = Callable[..., Settings]


def owned(app: StageApp) -> dict[str, set[int]]:
    """Running partitions of each source."""
    partitions: dict[str, set[int]] = {source: set() for source in app.spec.sources}
    for status in app.status().partitions:
        if status.state == "running":
            partitions[status.topic].add(status.partition)
    return partitions


def await_shared(bench: Bench, *apps: StageApp) -> None:
    """Every partition has one owner, everybody has some, and followers are where their lead is."""

    def shared() -> bool:
        shares = [owned(app) for app in apps]
        leads = [share[bench.spec.lead] for share in shares]
        return (
            all(leads)
            and sorted(p for lead in leads for p in lead) == list(range(bench.partitions))
            and all(share[source] == share[bench.spec.lead] for share in shares for source in bench.spec.sources)
        )

    await_condition(shared, WAIT_S, f"partitions to be shared: {[app.status() for app in apps]}")


def partitions_in(logs: list[Any], event: str) -> list[int]:
    """Partitions that workers said were assigned or revoked, once each time they said so."""
    return sorted(partition for entry in logs if entry["event"] == event for partition in entry["partitions"])


@pytest.mark.parametrize(
    ("protocol", "tables"),
    [("classic", ("counts",)), ("consumer", ("counts",))],
)
def test_workers_join_and_leave_while_records_flow(
    make_bench: MakeBench, other_settings: OtherSettings, protocol: Any, tables: tuple[str, ...]
) -> None:
    bench = make_bench(partitions=4, followers=1, tables=tables, group_protocol=protocol)
    one, two = counting_app(bench.spec, bench.settings), counting_app(bench.spec, other_settings())
    with capture_logs() as logs, loading(bench) as load, running(one) as first:
        await_shared(bench, one)
        with running(two) as second:
            await_shared(bench, one, two)
            assert partitions_in(logs, "revoked") == sorted(owned(two)[bench.spec.lead])
            seen = load.count
            await_condition(lambda: load.count > seen + 1_000, WAIT_S, "records to flow")
            await_condition(lambda: two.status().counters["records"] > 0, WAIT_S, "records of the second")
            assert (first.failure, second.failure) == (None, None)
            had_by_second = sorted(owned(two)[bench.spec.lead])
        await_shared(bench, one)
        # Nothing but what the second took over ever left the first, and nothing but that came back.
        assert partitions_in(logs, "assigned") == sorted([*range(bench.partitions), *had_by_second * 2])
        load.stop()
        bench.await_all_committed()
    assert_exactly_once(bench, load)


def test_of_two_workers_with_one_instance_id_one_stops_and_says_why(
    make_bench: MakeBench, other_settings: OtherSettings, start_child: StartChild, settings: Settings
) -> None:
    bench = make_bench(partitions=2)
    twin = other_settings(HEADRACE_INSTANCE_ID=settings.instance_id)
    with loading(bench, rate=500) as load:
        children = [start_child(settings, bench.spec)]
        children[0].await_log("assigned")
        children.append(start_child(twin, bench.spec))
        await_condition(
            lambda: any(child.process.poll() is not None for child in children), 2 * WAIT_S, "one of them to stop"
        )
        load.stop()
        (gone,) = [child for child in children if child.process.poll() is not None]
        (left,) = [child for child in children if child is not gone]
        bench.await_all_committed()
        assert left.terminate()[0] == 0
    assert gone.wait() == 1
    assert gone.last_line() == (
        f"worker: stage {bench.spec.name} was fenced twice: another worker has the instance id "
        f"{settings.instance_id}; give each its own HEADRACE_INSTANCE_ID"
    )
    assert_exactly_once(bench, load)
