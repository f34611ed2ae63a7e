"""The cluster that tests and `headrace dev` share, on a real broker."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev import docker
from streams.dev.cluster import KafkaCluster
from streams.dev.processes import Process, started_at
from streams.dev.readiness import WrongCluster, admin_client, answers, await_condition, cluster_id_of
from streams.messages.http_registry import HttpRegistry

java_only = pytest.mark.skipif(docker.engine_answers(), reason="looks at processes, and brokers run in Docker here")
StartCluster = Callable[..., KafkaCluster]


def test_the_shared_broker_has_what_tests_make_on_it(settings: Settings, make_topic: Callable[..., str]) -> None:
    topic = make_topic("dev", partitions=3)
    metadata: Any = AdminClient({"bootstrap.servers": settings.bootstrap_servers()}).list_topics(timeout=10)
    assert len(metadata.topics[topic].partitions) == 3


def test_a_killed_broker_comes_back_on_its_port_with_its_topics(
    kafka_cluster: StartCluster,
) -> None:
    cluster = kafka_cluster()
    address, cluster_id = cluster.bootstrap_servers, cluster.cluster_id
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("kept", 2, 1)])["kept"].result(timeout=30)
    cluster.kill()
    assert cluster_id_of(address, timeout_s=0.5) is None
    cluster.restart()
    assert cluster_id_of(address) == cluster_id
    metadata: Any = AdminClient({"bootstrap.servers": address}).list_topics(timeout=10)
    assert len(metadata.topics["kept"].partitions) == 2


def test_three_brokers_survive_the_loss_of_one(kafka_cluster: StartCluster) -> None:
    cluster = kafka_cluster(brokers=3)
    admin = admin_client(cluster.bootstrap_servers)
    cluster.kill(2)
    # Until its session has ended the dead broker may be named as the controller, and the client insists on it.
    await_condition(lambda: len(admin.list_topics(timeout=5).brokers) == 2, 30, "the loss to be noticed")
    admin.create_topics([NewTopic("made-by-two", 1, 2)])["made-by-two"].result(timeout=30)
    cluster.restart(2)
    cluster.wait_in_sync()


def test_a_frozen_broker_answers_again_when_resumed(kafka_cluster: StartCluster) -> None:
    cluster = kafka_cluster()
    cluster.pause()
    assert cluster_id_of(cluster.bootstrap_servers, timeout_s=1) is None
    cluster.resume()
    assert cluster_id_of(cluster.bootstrap_servers, timeout_s=20) == cluster.cluster_id


OWNER = """
import sys
from streams.dev import docker
from streams.dev.cluster import KafkaCluster
cluster = KafkaCluster().start()
print(cluster.brokers[1].identity, flush=True)
sys.stdin.read()
"""


@java_only
def test_a_broker_dies_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # the killed owner cannot delete its folder
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as owner:
        assert owner.stdout is not None
        identity = owner.stdout.readline().strip()
        broker = Process.parse(identity)
        assert broker.alive()
        owner.send_signal(signal.SIGKILL)
        assert broker.wait(timeout_s=10)


@pytest.fixture
def headrace(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run the command as a person would, with a state folder of its own."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("headrace")), *arguments]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, timeout=120, check=False
        )

    yield run
    run("dev", "down", "--wipe")


Headrace = Callable[..., subprocess.CompletedProcess[str]]


def dev_status(headrace: Headrace) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(headrace("dev", "status", "--output", "json").stdout)
    return status


@java_only
def test_up_stays_and_is_found_by_every_later_command(headrace: Headrace, tmp_path: Path) -> None:
    first = headrace("dev", "up")
    assert first.returncode == 0, first.stderr
    record = json.loads((tmp_path / "headrace/dev/broker.json").read_text())
    assert record["bootstrap_servers"] in first.stdout
    assert cluster_id_of(record["bootstrap_servers"]) == record["cluster_id"]
    again = headrace("dev", "up")
    assert again.returncode == 0
    assert dev_status(headrace)["brokers"][0]["pid"] == record["pids"][0]


@java_only
def test_up_again_after_a_crash_starts_the_broker_with_its_data(headrace: Headrace) -> None:
    headrace("dev", "up")
    before = dev_status(headrace)
    os.kill(before["brokers"][0]["pid"], signal.SIGKILL)
    crashed = headrace("dev", "status")
    assert crashed.returncode == 3
    assert len(crashed.stderr.splitlines()) == 1
    headrace("dev", "up")
    after = dev_status(headrace)
    assert after["state"] == "running"
    assert (after["bootstrap_servers"], after["cluster_id"]) == (before["bootstrap_servers"], before["cluster_id"])


def test_down_ends_the_broker_and_wipe_deletes_its_data(headrace: Headrace, tmp_path: Path) -> None:
    headrace("dev", "up")
    address = dev_status(headrace)["bootstrap_servers"]
    assert headrace("dev", "down").returncode == 0
    assert cluster_id_of(address, timeout_s=0.5) is None
    assert (tmp_path / "headrace/dev/kafka-1").exists()
    assert not (tmp_path / "headrace/dev/broker.json").exists()
    wiped = headrace("dev", "down", "--wipe")
    assert wiped.stdout == f"no broker of `headrace dev up` runs\ndeleted {tmp_path / 'headrace/dev/kafka-1'}\n"
    assert not (tmp_path / "headrace/dev/kafka-1").exists()
    assert headrace("dev", "down", "--wipe").stdout.endswith("\nnothing to delete\n")


def test_another_number_of_brokers_than_runs_is_refused(headrace: Headrace) -> None:
    headrace("dev", "up")
    refused = headrace("dev", "up", "--brokers", "3")
    assert refused.returncode == 2
    assert refused.stderr == "1 broker runs; `headrace dev down` first, then `headrace dev up --brokers 3`\n"


@java_only
def test_a_registry_runs_beside_the_broker_is_used_by_every_command_and_keeps_its_ids(headrace: Headrace) -> None:
    started = headrace("dev", "up", "--registry")
    assert started.returncode == 0, started.stderr
    registry = dev_status(headrace)["registry"]
    assert registry["state"] == "running"
    assert f"the registry is up at {registry['url']}\n" in started.stdout
    assert started_at(registry["pid"]) is not None
    assert headrace("schema", "register", "order").returncode == 0
    with closing(HttpRegistry(registry["url"])) as asked:
        [order] = asked.all()
    stopped = headrace("dev", "down")
    assert "stopping the registry\n" in stopped.stdout
    assert started_at(registry["pid"]) is None
    assert headrace("dev", "up", "--registry").returncode == 0
    listed = json.loads(headrace("schema", "list", "--output", "json").stdout)
    assert [(row["subject"], row["id"]) for row in listed] == [(order.subject, order.id)]


@pytest.mark.parametrize("variable", ["KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL"])
def test_no_registry_is_started_beside_what_somebody_else_runs(headrace: Headrace, variable: str) -> None:
    refused = headrace("dev", "up", "--registry", **{variable: "http://127.0.0.1:1"})
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert variable in refused.stderr


def test_a_given_broker_is_used_and_nothing_started(headrace: Headrace, kafka: Any, tmp_path: Path) -> None:
    given = headrace("dev", "up", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers)
    assert given.returncode == 0
    assert not (tmp_path / "headrace/dev/broker.json").exists()
    absent = headrace("dev", "up", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert absent.returncode == 3
    assert len(absent.stderr.splitlines()) == 1


@java_only
def test_settings_roll_through_a_running_cluster(kafka_cluster: StartCluster) -> None:
    cluster = kafka_cluster()
    cluster.roll({"message.max.bytes": "123456"})
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    assert admin.describe_configs([broker])[broker].result(timeout=30)["message.max.bytes"].value == "123456"


@java_only
def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    cluster = KafkaCluster(folder=tmp_path / "kafka")
    try:
        before = cluster.start().layout
        cluster.stop_all()
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", before.nodes[0].port))
            squatter.listen()
            after = cluster.start().layout
        assert after.cluster_id == before.cluster_id
        assert after.nodes[0].port != before.nodes[0].port
    finally:
        cluster.wipe()


def test_somebody_elses_cluster_on_the_port_is_noticed(kafka: Any) -> None:
    with pytest.raises(WrongCluster):
        answers(admin_client(kafka.bootstrap_servers), "not-this-cluster-ABCDE", 1)
