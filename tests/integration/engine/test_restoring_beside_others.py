"""A partition with much to restore shows how far it is, and holds up no other partition of its stage."""

import time
from collections.abc import Iterator

from prometheus_client import REGISTRY

from streams.engine.app import StageApp
from streams.engine.partitioner import partition_of
from streams.engine.raw_producer import RawProducer
from streams.engine.status import PartitionStatus
from streams.web.readiness import readiness_of
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import counting_app
from tests.integration.engine.load import assert_exactly_once, loading
from tests.integration.engine.stages import WAIT_S, Bench, running

BIG, SMALL = 0, 1
ROWS = 200_000


def fill_changelog_of_the_big_one(bench: Bench) -> None:
    """The same few keys over and over, deleted in the end: much to restore, and nothing comes of it."""
    keys = [key for key in (b"old-%d" % n for n in range(2_000)) if partition_of(key, bench.partitions) == BIG]
    with RawProducer(bench.settings) as producer:
        for n in range(ROWS):
            value = b"1" if n < ROWS - len(keys) else None
            producer.send(bench.spec.changelog("counts"), value, keys[n % len(keys)], timestamp_ms=0, headers=[])


def statuses_while_the_big_one_restores(app: StageApp) -> Iterator[tuple[PartitionStatus, dict[int, PartitionStatus]]]:
    """Its status and those of all partitions, again and again."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        by_number = {status.partition: status for status in app.status().partitions}
        big = by_number.get(BIG)
        if big is not None and big.state == "running":
            return
        if big is not None and big.state == "restoring" and big.restore_target:
            yield big, by_number
        time.sleep(0.01)


def test_a_big_restore_is_seen_and_stops_no_other_partition(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=2)
    fill_changelog_of_the_big_one(bench)
    app = counting_app(bench.spec, bench.settings)
    done_meanwhile, positions, waited_for = list[float](), list[int](), list[str]()
    with loading(bench) as load, running(app) as stage:
        for big, all_of_them in statuses_while_the_big_one_restores(app):
            positions.append(big.restored)
            waited_for += readiness_of([app.status()]).waiting_for
            if all_of_them[SMALL].state == "running":
                done_meanwhile.append(app.status().counters["records"])
        stage.await_state("running")
        load.stop()
        bench.await_all_committed()
    assert len(set(positions)) > 2
    assert positions == sorted(positions)
    assert any(f"{bench.spec.lead}/{BIG}, " in line and f"of {ROWS}" in line for line in waited_for)
    assert done_meanwhile[-1] - done_meanwhile[0] > 100
    labels = {"stage": bench.spec.name, "table": "counts", "partition": str(BIG)}
    assert REGISTRY.get_sample_value("headrace_restore_target_records", labels) == ROWS
    assert_exactly_once(bench, load)
