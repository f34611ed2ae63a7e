"""The cluster that tests and `headrace dev` share, on a real broker."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.processes import Process
from streams.dev.readiness import cluster_id_of

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
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    cluster.kill(2)
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
from streams.dev.cluster import KafkaCluster
cluster = KafkaCluster().start()
print(cluster.brokers[1].identity, flush=True)
sys.stdin.read()
"""


def test_a_broker_dies_with_an_owner_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        identity = owner.stdout.readline().strip()
        broker = Process.parse(identity)
        assert broker.alive()
        owner.send_signal(signal.SIGKILL)
        assert broker.wait(timeout_s=10)
