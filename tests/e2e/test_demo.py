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


def test_two_demos_side_by_side_find_what_is_off_and_nothing_else(demo: Demo, tmp_path: Path) -> None:
    """One with the orders' topology, which leaves nothing behind; one with another threshold, which keeps its logs."""
    sound, off = tmp_path / "sound", tmp_path / "off"
    altered = tmp_path / "topology.yaml"
    text = (ROOT / "topology.yaml").read_text()
    altered.write_text(text.replace("value: 1000}", "value: 1001}"))
    assert altered.read_text() != text
    for folder in (sound, off):
        folder.mkdir()
    runs = [
        demo("--messages", "6000", "--seed", "7", TMPDIR=str(sound)),
        demo("--messages", "3000", "--seed", "7", TMPDIR=str(off), HEADRACE_TOPOLOGY=str(altered)),
    ]
    (output, errors), (found, complaint) = (run.communicate(timeout=BOUND_S) for run in runs)
    assert [run.returncode for run in runs] == [0, 1], output + errors + found + complaint
    assert "exactly once" in output
    assert "kill -9" in output
    assert "headrace demo --messages 6000 --seed 7\n" in output
    assert errors == ""
    assert list(sound.iterdir()) == []
    assert processes_that_mention(sound) == []
    assert "misrouted" in found
    assert "Something is off" in found
    assert len(complaint.splitlines()) == 1
    assert {path.suffix for path in next(off.iterdir()).iterdir()} == {".log"}


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
