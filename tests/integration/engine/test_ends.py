"""How a worker waits, stops and crashes: in bounded time, with the right exit code and nothing half-done."""

from collections.abc import Callable

import pytest

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.engine.topic_reader import read_topics
from tests.integration.engine.children import STOP_LIMIT_S, StartChild
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import counting_app
from tests.integration.engine.load import assert_exactly_once, loading
from tests.integration.engine.stages import Bench, running


def assert_nothing_half_done(bench: Bench) -> None:
    """What is committed came out once, and nothing else did."""
    done = sum(bench.committed().values())
    assert read_topics(bench.settings, [bench.out], lambda _: None) == done
    assert sum(bench.changelog().values()) == done


def test_a_broker_that_is_absent_is_waited_for_and_one_that_dies_too(
    kafka_cluster: Callable[..., KafkaCluster], settings_for: Callable[..., Settings], make_bench: MakeBench,
    start_child: StartChild,
) -> None:  # fmt: skip
    cluster = kafka_cluster()
    bench = make_bench(of=settings_for(cluster.bootstrap_servers), partitions=2, followers=1)
    cluster.kill()
    waiting = start_child(settings_for(cluster.bootstrap_servers), bench.spec)
    app = counting_app(bench.spec, bench.settings)
    with running(app) as stage:
        stage.await_state("waiting")
        waiting.await_log("waiting for Kafka at")
        assert cluster.bootstrap_servers in app.status().reason
        code, seconds = waiting.terminate()
        assert code == 0
        assert seconds < STOP_LIMIT_S / 2
        cluster.restart()
        stage.await_state("running")
        with loading(bench, rate=1_000) as load:
            bench.await_first_commit()
            cluster.kill()
            cluster.restart()
        bench.await_all_committed(60)
        assert stage.failure is None
    assert_exactly_once(bench, load)


def test_sigterm_under_load_ends_in_time_with_nothing_half_done(make_bench: MakeBench, start_child: StartChild) -> None:
    bench = make_bench(partitions=2, followers=1)
    with loading(bench, rate=4_000) as load:
        child = start_child(bench.settings, bench.spec)
        child.await_log("assigned")
        bench.await_first_commit()
        code, seconds = child.terminate()
    assert code == 0, child.words()
    assert seconds < STOP_LIMIT_S
    assert_nothing_half_done(bench)
    with running(counting_app(bench.spec, bench.settings)):
        bench.await_all_committed()
    assert_exactly_once(bench, load)


def test_sigterm_while_an_agent_sleeps_undoes_its_batch(
    make_bench: MakeBench, start_child: StartChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PATIENCE_S", "3")
    bench = make_bench()
    bench.produce([(b"k", b"1"), (b"k", b"sleep")])
    child = start_child(bench.settings, bench.spec)
    child.await_log("sleeping")
    code, seconds = child.terminate()
    assert code == 0, child.words()
    assert seconds < STOP_LIMIT_S / 2
    assert_nothing_half_done(bench)


@pytest.mark.parametrize("asked_to", ["stop", "nothing"])
def test_an_agent_that_blocks_the_event_loop_cannot_keep_the_worker_alive(
    make_bench: MakeBench, start_child: StartChild, monkeypatch: pytest.MonkeyPatch, asked_to: str
) -> None:
    monkeypatch.setenv("TEST_PATIENCE_S", "0.7")
    bench = make_bench()
    bench.produce([(b"k", b"1"), (b"k", b"block")])
    child = start_child(bench.settings, bench.spec)
    child.await_log("blocking")
    if asked_to == "stop":
        child.terminate()
    assert child.wait(STOP_LIMIT_S) == 1
    if asked_to == "nothing":
        assert f"did not finish {bench.spec.lead}/0@" in child.last_line()
    assert_nothing_half_done(bench)


def test_one_stage_crashes_the_others_commit_and_the_code_is_1(make_bench: MakeBench, start_child: StartChild) -> None:
    broken, sound = make_bench(), make_bench(partitions=2)
    with loading(sound, rate=2_000) as load:
        child = start_child(sound.settings, sound.spec, broken.spec)
        child.await_log("assigned")
        broken.produce([(b"k", b"fine"), (b"k", b"crash")])
        assert child.wait() == 1
    line = child.last_line()
    assert line.startswith(f"worker: stage {broken.spec.name} stops after")
    assert f"{broken.spec.lead}/0@" in line
    assert "RuntimeError('asked to')" in line
    assert_nothing_half_done(sound)
    assert_nothing_half_done(broken)
    with running(counting_app(sound.spec, sound.settings)):
        sound.await_all_committed()
    assert_exactly_once(sound, load)
