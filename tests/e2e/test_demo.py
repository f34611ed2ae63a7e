"""`headrace demo`, reduced: it ends by itself, finds what is off, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.commerce.demo.messages import SOURCE
from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.raw_producer import RawProducer

ROOT = Path(__file__).parents[2]
HEADRACE = Path(sys.executable).with_name("headrace")
BOUND_S = 150

Demo = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(temporary: Path) -> Demo:
    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        given = {"TMPDIR": str(temporary), "HEADRACE_TOPOLOGY": str(ROOT / "topology.yaml")}
        return subprocess.Popen(
            [HEADRACE, "demo", *arguments],
            env={**os.environ, **given, "HEADRACE_SCHEMAS": str(ROOT / "schemas"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def processes_that_mention(text: Path) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if str(text) in line]


def test_every_message_is_recounted_where_it_belongs_and_nothing_is_left(demo: Demo, temporary: Path) -> None:
    run = demo("--messages", "6000", "--seed", "7")
    output, errors = run.communicate(timeout=BOUND_S)
    assert run.returncode == 0, output + errors
    assert "exactly once" in output
    assert "kill -9" in output
    assert "headrace demo --messages 6000 --seed 7\n" in output
    assert errors == ""
    assert list(temporary.iterdir()) == []
    assert processes_that_mention(temporary) == []


def test_a_route_that_is_not_what_the_orders_expect_is_found(demo: Demo, temporary: Path, tmp_path: Path) -> None:
    altered = tmp_path / "topology.yaml"
    text = (ROOT / "topology.yaml").read_text()
    altered.write_text(text.replace("value: 1000}", "value: 1001}"))
    assert altered.read_text() != text
    run = demo("--messages", "3000", "--seed", "7", HEADRACE_TOPOLOGY=str(altered))
    output, errors = run.communicate(timeout=BOUND_S)
    assert run.returncode == 1, output + errors
    assert "misrouted" in output
    assert "Something is off" in output
    assert len(errors.splitlines()) == 1
    assert {path.suffix for path in next(temporary.iterdir()).iterdir()} == {".log"}


def test_ctrl_c_ends_everything(demo: Demo, temporary: Path) -> None:
    run = demo("--messages", "100000", "--seed", "7")
    await_condition(lambda: bool(list(temporary.glob("*/worker-*.log"))), 60, "the workers to start")
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert list(temporary.iterdir()) == []
    assert processes_that_mention(temporary) == []


def test_a_broker_that_holds_orders_already_is_refused(
    demo: Demo,
    temporary: Path,
    kafka_cluster: Callable[..., KafkaCluster],
    settings_for: Callable[..., Settings],
) -> None:
    cluster = kafka_cluster(overrides={"auto.create.topics.enable": "true"})
    settings = settings_for(cluster.bootstrap_servers)
    with RawProducer(settings) as producer:
        producer.send(SOURCE, b"old", b"k", timestamp_ms=1, headers=[])
    run = demo(KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert len(errors.splitlines()) == 1
    assert SOURCE in errors
    assert list(temporary.iterdir()) == []


def test_a_domain_without_a_demo_is_refused_in_one_line(demo: Demo) -> None:
    run = demo(HEADRACE_APP="streams.nowhere")
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 2
    assert len(errors.splitlines()) == 1
