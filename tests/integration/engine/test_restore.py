"""Tables follow their changelogs: cold, warm, from stores that cannot be trusted, and past dead transactions."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer  # noqa: TID251 a stage's predecessor that died
from structlog.testing import capture_logs

from streams.dev.readiness import await_condition
from streams.engine.app import StageApp
from streams.engine.raw_producer import RawProducer
from streams.engine.reads import NotServedHere
from streams.engine.stage import TableSpec
from streams.engine.stores import Mark, RocksStore, Rows
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import counting_app
from tests.integration.engine.stages import WAIT_S, Bench, running

KEYS = 20_000


def write_changelog(bench: Bench, rows: Iterator[tuple[bytes, bytes | None]], table: str = "counts") -> None:
    with RawProducer(bench.settings) as producer:
        for key, value in rows:
            producer.send(bench.spec.changelog(table), value, key, timestamp_ms=0, headers=[])


def rows_of_all_ages(keys: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Each key written, a third written again, a tenth deleted."""
    for n in range(keys):
        yield b"k%07d" % n, b"%d" % n
    for n in range(0, keys, 3):
        yield b"k%07d" % n, b"%d" % (n + 1)
    for n in range(0, keys, 10):
        yield b"k%07d" % n, None


def assert_restored(app: StageApp, keys: int) -> None:
    """The table is what its changelog tells, row by row."""
    expected: dict[bytes, int] = {}
    for key, value in rows_of_all_ages(keys):
        if value is None:
            del expected[key]
        else:
            expected[key] = int(value)
    assert everything(app) == expected


def everything(app: StageApp) -> dict[bytes, Any]:
    reads, found = app.reads(), dict[bytes, Any]()
    for partition in reads.local_partitions():
        after: bytes | None = None
        while page := reads.scan("counts", partition, after=after, limit=5_000):
            found |= {row.key: row.value for row in page}
            after = page[-1].key
    return found


def store_path(bench: Bench, partition: int = 0) -> Path:
    settings = bench.settings
    return settings.state_dir / settings.instance_id / bench.spec.name / "counts" / str(partition)


@contextmanager
def ready(bench: Bench) -> Iterator[tuple[StageApp, list[Any]]]:
    """The stage, restored; and what it logged on the way."""
    app = counting_app(bench.spec, bench.settings)
    with capture_logs() as logs, running(app) as stage:
        stage.await_state("running")
        yield app, logs


def events(logs: list[Any], event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]


def test_cold_and_warm(make_bench: MakeBench) -> None:
    bench = make_bench()
    write_changelog(bench, rows_of_all_ages(KEYS))
    with ready(bench) as (app, logs):
        assert_restored(app, KEYS)
        (told,) = events(logs, "restored")
        assert told["position"] >= told["target"] > KEYS
    with ready(bench) as (app, logs):
        assert_restored(app, KEYS)
        assert events(logs, "restored") == events(logs, "wiping a store") == []
    shutil.rmtree(bench.settings.state_dir)
    bench.produce([(b"k%07d" % 1, b"more")])
    with ready(bench) as (app, logs):
        assert len(events(logs, "restored")) == 1
        bench.await_all_committed()
        row = app.reads().get("counts", 0, b"k%07d" % 1)
        assert row is not None
        assert (row.value, row.position) == (2, f"{bench.spec.lead}/0=0")


def test_a_warm_store_reads_only_what_it_missed(make_bench: MakeBench) -> None:
    bench = make_bench()
    write_changelog(bench, rows_of_all_ages(1_000))
    with ready(bench):
        pass
    write_changelog(bench, iter([(b"new", b"7"), (b"k%07d" % 1, None)]))
    with ready(bench) as (app, logs):
        (told,) = events(logs, "restored")
        assert told["records"] == 2
        assert app.reads().get("counts", 0, b"k%07d" % 1) is None
        row = app.reads().get("counts", 0, b"new")
        assert row is not None
        assert row.value == 7


def distrusted(mark: Mark, partition: int) -> Mark:
    """A mark for each reason to distrust a store."""
    return (
        replace(mark, cluster_id="another"),
        replace(mark, topic_id="another"),
        replace(mark, offset=mark.offset + 1),
        replace(mark, written_at=time.time() - 83_000),
    )[partition]


REASONS = ("of cluster another", "made anew", "past the changelog's end", "delete.retention.ms")


def test_a_store_that_cannot_be_trusted_is_wiped(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=len(REASONS))
    write_changelog(bench, rows_of_all_ages(1_000))
    with ready(bench):
        pass
    for partition in range(len(REASONS)):
        store = RocksStore(store_path(bench, partition))
        assert store.mark is not None
        store.apply([(b"strange", b"1")], distrusted(store.mark, partition))
        store.close()
    with ready(bench) as (app, logs):
        assert_restored(app, 1_000)
        reasons = {entry["partition"]: entry["reason"] for entry in events(logs, "wiping a store")}
        assert all(reason in reasons[partition] for partition, reason in enumerate(REASONS))


def test_a_damaged_store_is_restored(make_bench: MakeBench) -> None:
    bench = make_bench()
    write_changelog(bench, rows_of_all_ages(1_000))
    with ready(bench):
        pass
    (store_path(bench) / "CURRENT").write_text("torn")
    with ready(bench) as (app, _):
        assert_restored(app, 1_000)


@pytest.mark.parametrize("end", ["aborted", "committed"])
def test_an_open_transaction_in_the_changelog_is_waited_for(make_bench: MakeBench, end: str) -> None:
    bench = make_bench(tables=("counts", "others"))
    write_changelog(bench, rows_of_all_ages(1_000))
    conf: dict[str, Any] = {**bench.settings.kafka_config(), "transactional.id": f"{bench.spec.name}-dead"}
    dead = Producer(conf)
    dead.init_transactions(WAIT_S)
    dead.begin_transaction()
    dead.produce(bench.spec.changelog("counts"), b"99", b"open")
    dead.flush(WAIT_S)
    bench.produce([(b"k", b"v")])
    app = counting_app(bench.spec, bench.settings)
    with running(app) as stage:
        stage.await_state("restoring")

        def all_but_the_open_one_is_read() -> bool:
            (status,) = app.status().partitions
            return status.state == "restoring" and status.restored >= status.restore_target - 2 > 1_000

        await_condition(all_but_the_open_one_is_read, WAIT_S, f"{app.status()} to wait for the transaction")
        with pytest.raises(NotServedHere):
            app.reads().get("counts", 0, b"k")
        assert app.reads().local_partitions() == []
        assert bench.committed()[bench.spec.lead, 0] == 0
        (dead.abort_transaction if end == "aborted" else dead.commit_transaction)(WAIT_S)
        bench.await_all_committed()
        stage.await_state("running")
        assert_restored_with(app, open_row=99 if end == "committed" else None)


def assert_restored_with(app: StageApp, open_row: int | None) -> None:
    row = app.reads().get("counts", 0, b"open")
    assert (row.value if row is not None else None) == open_row
    counted = app.reads().get("counts", 0, b"k")
    assert counted is not None
    assert counted.value == 1


class LosingStore(RocksStore):
    """Fails after the Kafka commit and before its own write, as a kill there would look."""

    def apply(self, rows: Rows, mark: Mark) -> None:
        if rows != ():
            raise OSError("gone")
        super().apply(rows, mark)


def test_what_was_committed_but_not_stored_is_restored(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.produce([(b"k", b"%d" % n) for n in range(10)])

    def open_store(table: TableSpec, partition: int) -> LosingStore:
        del table
        return LosingStore(store_path(bench, partition))

    with running(counting_app(bench.spec, bench.settings, open_store=open_store)) as stage:
        assert "gone" in stage.await_failure()
    assert bench.committed() == bench.ends()
    with ready(bench) as (app, _):
        row = app.reads().get("counts", 0, b"k")
        assert row is not None
        assert row.value == 10
    assert bench.outputs() == {b"k": [b"%d:%d" % (n, n + 1) for n in range(10)]}


@pytest.mark.soak
def test_a_million_keys_cold_and_warm(make_bench: MakeBench) -> None:
    keys, partitions = 1_000_000, 4
    bench = make_bench(partitions=partitions)
    write_changelog(bench, rows_of_all_ages(keys))
    for kind in ("cold", "warm"):
        started = time.monotonic()
        with ready(bench) as (app, logs):
            seconds = time.monotonic() - started
            records = sum(entry["records"] for entry in events(logs, "restored"))
            rate = f"{records / seconds:,.0f} records/s" if records else ""
            sys.stdout.write(f"\n{kind}: {records:,} records of {keys:,} keys in {seconds:.1f} s {rate}\n")
            assert_restored(app, keys)
