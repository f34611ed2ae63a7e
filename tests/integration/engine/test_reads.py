"""Readers on other threads see committed rows only, and survive partitions that close under them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.app import StageApp
from streams.engine.lease import LEASE_S
from streams.engine.partitioner import partition_of
from streams.engine.reads import NotServedHere
from streams.engine.stage import TP
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import app_with, counting_app
from tests.integration.engine.load import KEYS, loading
from tests.integration.engine.stages import WAIT_S, running


class Reader(threading.Thread):
    """Reads and scans one stage without a pause; notes every value seen, every refusal and every other error."""

    def __init__(self, app: StageApp, partitions: int) -> None:
        super().__init__(daemon=True)
        self.values: dict[bytes, list[Any]] = {}
        self.refused = 0
        self.unexpected: list[BaseException] = []
        self._reads = app.reads
        self._partitions = partitions
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.002):
            for partition in range(self._partitions):
                try:
                    rows = self._reads().scan("counts", partition, limit=KEYS)
                    for row in rows:
                        again = self._reads().get("counts", partition, row.key)
                        assert again is not None
                        self.values.setdefault(row.key, []).extend((row.value, again.value))
                except NotServedHere:
                    self.refused += 1
                except BaseException as error:  # noqa: BLE001 it is the finding
                    self.unexpected.append(error)

    def stop(self) -> None:
        self._enough.set()
        self.join(WAIT_S)


def test_values_only_grow_while_partitions_come_and_go(
    make_bench: MakeBench, other_settings: Callable[..., Settings]
) -> None:
    bench = make_bench(partitions=4)
    one = counting_app(bench.spec, other_settings(HEADRACE_STORE="rocksdb"))
    two = counting_app(bench.spec, other_settings(HEADRACE_STORE="memory"))
    readers = [Reader(app, bench.partitions) for app in (one, two)]
    with loading(bench), running(one) as stage:
        for reader in readers:
            reader.start()
        stage.await_state("running")
        with running(two):
            await_condition(lambda: bool(two.reads().local_partitions()), WAIT_S, "the other to have a share")
            await_condition(lambda: bool(readers[1].values), WAIT_S, "rows of the other")
        await_condition(lambda: len(one.reads().local_partitions()) == bench.partitions, WAIT_S, "all to come back")
    for reader in readers:
        reader.stop()
    assert [reader.unexpected for reader in readers] == [[], []]
    assert all(reader.refused and reader.values for reader in readers)
    for reader in readers:
        for values in reader.values.values():
            assert values == sorted(values)


def test_what_is_aborted_is_never_seen(make_bench: MakeBench) -> None:
    bench = make_bench()
    attempts: list[int] = []

    async def agent(batches: Any) -> None:
        async for batch in batches:
            attempts.append(1)
            rows = batch.state("counts")
            fails = len(attempts) % 2 == 1
            for record in batch.records:
                rows.set(record.key(), "aborted" if fails else "committed")
            if fails:
                raise ValueError("undone")

    reader = Reader(app := app_with(bench.spec, bench.settings, agent), 1)
    with running(app) as stage:
        stage.await_state("running")
        reader.start()
        for n in range(4):
            bench.produce([(b"k%d" % n, b"v")])
            bench.await_all_committed()
    reader.stop()
    assert reader.unexpected == []
    assert {value for values in reader.values.values() for value in values} == {"committed"}
    assert len(attempts) >= 8


def test_rows_say_how_far_their_table_had_followed(make_bench: MakeBench) -> None:
    bench = make_bench(partitions=2)
    app = counting_app(bench.spec, bench.settings)
    bench.produce([(b"k", b"v")] * 3)
    with running(app):
        bench.await_all_committed()
        reads = app.reads()
        partition = reads.partition_of(b"k")
        assert partition == partition_of(b"k", 2)
        await_condition(lambda: _position(app, partition) == f"{bench.spec.lead}/{partition}=2", WAIT_S, "the position")
        assert reads.get("counts", partition, b"none") is None
        with pytest.raises(NotServedHere):
            reads.get("counts", 7, b"k")
    with pytest.raises(NotServedHere):
        app.reads().get("counts", partition, b"k")


def test_positions_of_every_source_are_known_after_a_commit_and_after_a_restart(make_bench: MakeBench) -> None:
    bench = make_bench(followers=1)
    lead, follower = (TP(topic, 0) for topic in bench.spec.sources)
    with running(counting_app(bench.spec, bench.settings)) as stage:
        stage.await_state("running")
        assert stage.call(stage.app.reads().wait_passed({lead: -1, follower: -1}, 0))
        assert not stage.call(stage.app.reads().wait_passed({lead: 0}, 0))
        bench.produce([(b"k", b"v")] * 3, follower.topic)
        bench.produce([(b"k", b"v")] * 2)
        assert stage.call(stage.app.reads().wait_passed({lead: 1, follower: 2}, WAIT_S))
        row = stage.app.reads().get("counts", 0, b"k")
        assert row is not None
        assert (row.value, row.position) == (5, f"{lead}=1")
    with running(counting_app(bench.spec, bench.settings)) as stage:
        stage.await_state("running")
        assert stage.call(stage.app.reads().wait_passed({lead: 1, follower: 2}, 0))
        assert not stage.call(stage.app.reads().wait_passed({follower: 3}, 0))
        assert _position(stage.app, 0) == f"{lead}=1"


def test_a_commit_gives_a_lease_that_ends_and_the_group_confirms_its_member(make_bench: MakeBench) -> None:
    bench = make_bench()
    with running(counting_app(bench.spec, bench.settings)) as stage:
        stage.await_state("running")
        assert not stage.app.reads().lease_holds
        bench.produce([(b"k", b"v")])
        await_condition(lambda: stage.app.reads().lease_holds, WAIT_S, "a lease")
        await_condition(lambda: not stage.app.reads().lease_holds, LEASE_S + 1, "its end")
        assert stage.call(stage.app.reads().owners()).confirm(0, stage.app.reads().member_id)


def _position(app: StageApp, partition: int) -> str:
    row = app.reads().get("counts", partition, b"k")
    return row.position if row is not None else ""


@pytest.mark.parametrize(
    "membership",
    [{}, {"static_membership": True}, {"group_protocol": "consumer"}],
    ids=["classic", "static", "KIP-848"],
)
def test_owners_are_told_by_the_group(make_bench: MakeBench, membership: dict[str, Any]) -> None:
    bench = make_bench(partitions=3, **membership)
    app = counting_app(bench.spec, bench.settings)
    with running(app) as stage:
        stage.await_state("running")
        owners = stage.call(app.reads().owners())
        assert {p: owner.url for p, owner in owners.by_partition.items()} == dict.fromkeys(
            range(3), bench.settings.advertised_url()
        )
        assert all(owners.confirm(p, app.reads().member_id) for p in range(3))
        assert not owners.confirm(0, "somebody else")
        bench.produce([(b"k", b"v")])
        bench.await_all_committed()
        assert not (app.reads().lease_holds and bench.spec.static_membership)
