import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dev import layout as layouts
from streams.dev.layout import Layout, Node


def cluster(brokers: int) -> Layout:
    nodes = tuple(Node(i + 1, 15_000 + 2 * i, 15_001 + 2 * i) for i in range(brokers))
    return Layout("AAAAAAAAAAAAAAAAAAAAAA", nodes)


def test_three_brokers_lose_one_and_keep_their_promises() -> None:
    settings = layouts.cluster_settings(3)
    assert settings["transaction.state.log.replication.factor"] == "3"
    assert settings["transaction.state.log.min.isr"] == "2"
    assert settings["min.insync.replicas"] == "2"


def test_a_single_broker_needs_no_other() -> None:
    settings = layouts.cluster_settings(1)
    replicated = [name for name in settings if name.endswith((".replication.factor", ".isr", "insync.replicas"))]
    assert replicated
    assert {settings[name] for name in replicated} == {"1"}


@pytest.mark.parametrize("brokers", [1, 3])
def test_topics_are_never_made_by_accident(brokers: int) -> None:
    assert layouts.cluster_settings(brokers)["auto.create.topics.enable"] == "false"


def test_every_broker_knows_every_voter_and_advertises_its_own_port() -> None:
    three = cluster(3)
    settings = layouts.embedded_settings(three, three.nodes[1], Path("/data"), {})
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:15001,2@127.0.0.1:15003,3@127.0.0.1:15005"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:15002"
    assert settings["node.id"] == "2"


def test_overrides_win() -> None:
    one = cluster(1)
    settings = layouts.embedded_settings(one, one.nodes[0], Path("/data"), {"message.max.bytes": "5", "node.id": "7"})
    assert (settings["message.max.bytes"], settings["node.id"]) == ("5", "7")


def test_a_container_advertises_the_mapped_port_to_clients_and_its_name_to_peers() -> None:
    one = cluster(1)
    settings = layouts.container_settings(one, one.nodes[0], {})
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:15000,INTERNAL://kafka-1:19092"
    assert settings["inter.broker.listener.name"] == "INTERNAL"


def test_settings_become_the_variables_that_the_image_reads() -> None:
    assert layouts.as_environment({"log.dirs": "/d", "a_b.c-d": "e"}) == {
        "KAFKA_LOG_DIRS": "/d",
        "KAFKA_A__B_C___D": "e",
    }


@given(st.integers(1, 3), st.sampled_from(["java", "docker"]))
def test_a_layout_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, brokers: int, kind: str
) -> None:
    path = tmp_path_factory.mktemp("layout") / "cluster.json"
    layout = layouts.new_layout(brokers, kind=kind)
    layout.save(path)
    assert Layout.load(path) == layout
    assert len(set(layout.ports)) == 2 * brokers


def test_cluster_ids_have_kafkas_form() -> None:
    for _ in range(200):
        cluster_id = layouts.new_cluster_id()
        assert len(base64.urlsafe_b64decode(cluster_id + "==")) == 16
        assert not cluster_id.startswith("-")
