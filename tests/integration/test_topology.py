"""plan and apply against real brokers: what is made, that it is made once, and what is never touched."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,  # noqa: TID251 a reader that is none of Headrace's
    Producer,  # noqa: TID251 the same
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from streams.dev.cluster import LAYOUT, KafkaCluster
from streams.dev.layout import new_layout
from streams.dev.readiness import await_condition
from streams.engine.group_offsets import committed_offsets
from streams.engine.stage import StageSpec, TableSpec
from streams.errors import HeadraceError, NotReachable
from streams.topology.apply import Outcome, apply_plan
from streams.topology.cluster import read_cluster
from streams.topology.connection import connect
from streams.topology.desired import desired_groups, desired_topics
from streams.topology.loading import parse_topology
from streams.topology.names import SHARED_TOPICS
from streams.topology.plan import Plan, make_plan

ROOT = Path(__file__).parents[2]
ABSENT = "127.0.0.1:1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Of its own, for `apply` makes topics that all share."""
    with KafkaCluster() as cluster:
        yield cluster


class Bus:
    """A small topology under names of its own, brought to a cluster as `headrace topology` does it."""

    def __init__(self, bootstrap_servers: str, name: str) -> None:
        self.name = name
        self.bootstrap_servers = bootstrap_servers
        self.admin = connect({"bootstrap.servers": bootstrap_servers})
        self.stages = (StageSpec(name, (f"{name}.in",), (TableSpec("routes", by="source"),)),)
        self.text = (
            "version: 1\ntopics:\n"
            f"  {name}.in: {{partitions: 3}}\n"
            f"  {name}.queue: {{partitions: 2}}\n"
            f"  {name}.out: {{partitions: 2, retention: 30d, max_message_bytes: 5000}}\n"
            f"routers:\n  - source: {name}.in\n    stage: {name}\n    routes:\n"
            f"      - name: r\n        destinations: [{{queue: {name}.queue}}, "
            f"{{topic: {name}.out, subscription: reader}}]\n"
        )

    def plan(self) -> Plan:
        topology = parse_topology(self.text, "t.yaml", {})
        groups = desired_groups(topology, self.stages)
        state = read_cluster(self.admin, lambda _: True, groups.values(), self.committed)
        return make_plan(desired_topics(topology, self.stages, state), groups, (), state)

    def apply(self, *, allow_destructive: bool = False) -> list[Outcome]:
        return list(apply_plan(self.admin, self.plan(), str, allow_destructive=allow_destructive))

    def edit(self, before: str, after: str) -> None:
        assert before in self.text
        self.text = self.text.replace(before, after)

    def partitions(self, topic: str) -> int:
        return len(self.admin.list_topics(f"{self.name}.{topic}", timeout=10).topics[f"{self.name}.{topic}"].partitions)

    def config(self, topic: str, name: str) -> str:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return str(self.admin.describe_configs([resource])[resource].result(timeout=20)[name].value)

    def offsets(self, group: str) -> dict[tuple[str, int], int]:
        topics = self.admin.list_topics(timeout=10).topics
        ours = [(name, p) for name in topics if self.name in name for p in topics[name].partitions]
        found = self.committed(group, ours)
        return {(tp[0].removeprefix(f"{self.name}."), tp[1]): offset for tp, offset in found.items() if offset >= 0}

    def committed(self, group: str, partitions: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        return committed_offsets({"bootstrap.servers": self.bootstrap_servers}, group, partitions)

    def forget(self, group: str) -> None:
        self.admin.delete_consumer_groups([group])[group].result(timeout=20)

    def produce(self, topic: str, partition: int, count: int) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap_servers})
        for _ in range(count):
            producer.produce(f"{self.name}.{topic}", b"x", partition=partition)
        assert producer.flush(20) == 0


@pytest.fixture
def bus(cluster: KafkaCluster, unique_name: Callable[[str], str]) -> Bus:
    return Bus(cluster.bootstrap_servers, unique_name("bus"))


def test_a_second_apply_has_nothing_to_do(bus: Bus) -> None:
    assert all(outcome.made for outcome in bus.apply())
    assert bus.plan().changes == ()
    assert bus.apply() == []


def test_topics_are_as_designed(bus: Bus) -> None:
    bus.apply()
    changelog, letters = f"headrace.{bus.name}.routes.changelog", f"headrace.{bus.name}.dlq"
    assert bus.config(changelog, "cleanup.policy") == "compact"
    assert bus.config(changelog, "max.message.bytes") == str(1048588 + 65536)
    assert bus.config(letters, "retention.ms") == "-1"
    assert bus.config(f"{bus.name}.out", "retention.ms") == str(30 * 24 * 3600 * 1000)
    topics = bus.admin.list_topics(timeout=10).topics
    assert {name: len(topics[name].partitions) for name in (changelog, letters)} == {changelog: 3, letters: 4}
    assert set(SHARED_TOPICS) <= topics.keys()


def test_offsets_are_preset_and_never_rewound(bus: Bus) -> None:
    bus.apply()
    bus.produce("queue", 0, 5)
    bus.produce("out", 1, 7)
    for group in (f"headrace.{bus.name}", f"{bus.name}.queue", f"{bus.name}.out.reader"):
        bus.forget(group)
    presets = bus.apply()
    assert len(presets) == 3
    assert bus.offsets(f"headrace.{bus.name}") == {("in", 0): 0, ("in", 1): 0, ("in", 2): 0}
    assert bus.offsets(f"{bus.name}.queue") == {("queue", 0): 0, ("queue", 1): 0}
    assert bus.offsets(f"{bus.name}.out.reader") == {("out", 0): 0, ("out", 1): 7}
    bus.produce("out", 1, 3)
    assert bus.apply() == []
    assert bus.offsets(f"{bus.name}.out.reader")["out", 1] == 7


def test_the_start_is_where_the_broker_still_has_records(bus: Bus) -> None:
    bus.apply()
    bus.produce("queue", 0, 5)
    cut = TopicPartition(f"{bus.name}.queue", 0, 3)
    bus.admin.delete_records([cut])[cut].result(timeout=20)
    bus.forget(f"{bus.name}.queue")
    bus.apply()
    assert bus.offsets(f"{bus.name}.queue")["queue", 0] == 3


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_with_members_is_skipped(bus: Bus, protocol: str) -> None:
    bus.apply()
    group = f"{bus.name}.queue"
    bus.forget(group)
    consumer = Consumer(
        {
            "bootstrap.servers": bus.bootstrap_servers,
            "group.id": group,
            "group.protocol": protocol,
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([f"{bus.name}.queue"])

        def joined() -> bool:
            consumer.poll(0.1)
            return len(consumer.assignment()) == 2

        await_condition(joined, 30, "an assignment")
        (outcome,) = bus.apply()
        assert not outcome.made
        assert outcome.text.startswith(f"skipped group {group}: it has members")
        assert bus.offsets(group) == {}
    finally:
        consumer.close()
    assert [outcome.made for outcome in bus.apply()] == [True]


def test_partitions_of_what_a_stage_with_tables_reads_stay(bus: Bus) -> None:
    bus.apply()
    bus.edit(f"{bus.name}.in: {{partitions: 3}}", f"{bus.name}.in: {{partitions: 6}}")
    bus.edit(f"{bus.name}.queue: {{partitions: 2}}", f"{bus.name}.queue: {{partitions: 4}}")
    with pytest.raises(HeadraceError, match="declare a new topic and copy"):
        bus.apply()
    assert (bus.partitions("in"), bus.partitions("queue")) == (3, 2)


def test_other_topics_grow_and_their_readers_miss_nothing(bus: Bus) -> None:
    bus.apply()
    bus.edit(f"{bus.name}.out: {{partitions: 2", f"{bus.name}.out: {{partitions: 4")
    assert [outcome.made for outcome in bus.apply()] == [True, True]
    assert bus.partitions("out") == 4
    assert bus.offsets(f"{bus.name}.out.reader") == {("out", each): 0 for each in range(4)}


def test_nothing_is_lost_without_permission(bus: Bus) -> None:
    bus.apply()
    bus.edit("retention: 30d, max_message_bytes: 5000", "retention: 31d, max_message_bytes: 4000")
    stage = replace(bus.stages[0], tables=())
    bus.stages = (stage,)
    changelog, topic = f"headrace.{bus.name}.routes.changelog", f"{bus.name}.out"
    outcomes = bus.apply()
    assert [(outcome.made, outcome.unmet) for outcome in outcomes] == [(True, False), (False, True), (False, False)]
    assert "--allow-destructive" in outcomes[1].text
    assert bus.config(topic, "retention.ms") == str(31 * 24 * 3600 * 1000)
    assert bus.config(topic, "max.message.bytes") == "5000"
    assert all(outcome.made for outcome in bus.apply(allow_destructive=True))
    assert bus.config(topic, "max.message.bytes") == "4000"
    await_condition(lambda: changelog not in bus.admin.list_topics(timeout=10).topics, 20, "deletion")
    assert bus.plan().changes == ()


def test_followers_get_offsets_in_the_stages_group(bus: Bus) -> None:
    redrive = f"headrace.{bus.name}.redrive"
    bus.stages = (replace(bus.stages[0], sources=(f"{bus.name}.in", redrive)),)
    bus.apply()
    assert set(bus.offsets(f"headrace.{bus.name}")) == {
        (topic, partition) for topic in ("in", redrive) for partition in range(3)
    }
    assert bus.apply() == []


def test_kip_848_groups_are_configured_once(bus: Bus) -> None:
    bus.stages = (replace(bus.stages[0], group_protocol="consumer"),)
    bus.apply()
    resource = ConfigResource(ResourceType.GROUP, f"headrace.{bus.name}")
    configs = bus.admin.describe_configs([resource])[resource].result(timeout=20)
    assert configs["consumer.session.timeout.ms"].value == "6000"
    assert bus.apply() == []


def test_three_brokers_keep_three_copies(kafka_cluster: Callable[..., KafkaCluster]) -> None:
    bus = Bus(kafka_cluster(brokers=3).bootstrap_servers, "bus")
    bus.apply()
    topic = bus.admin.list_topics("bus.in", timeout=10).topics["bus.in"]
    assert {len(partition.replicas) for partition in topic.partitions.values()} == {3}
    assert bus.config("bus.in", "min.insync.replicas") == "2"
    assert bus.plan() == Plan(())


def test_a_wrong_password_is_said_at_once(tmp_path: Path, free_port: Callable[[], int]) -> None:
    layout, port = new_layout(1), free_port()
    layout.save(tmp_path / LAYOUT)
    (node,) = layout.nodes
    plain, secure = f"PLAINTEXT://127.0.0.1:{node.port}", f"SECURE://127.0.0.1:{port}"
    overrides = {
        "listeners": f"{plain},{secure},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"{plain},{secure}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": (
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="right";'
        ),
    }
    config = {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
    }
    with KafkaCluster(folder=tmp_path, overrides=overrides):
        connect({**config, "sasl.password": "right"})
        started = time.monotonic()
        with pytest.raises(NotReachable, match=r"^Kafka at [^\n]* refused user 'alice' [^\n]*KAFKA_SASL_PASSWORD"):
            connect({**config, "sasl.password": "wrong"})
        assert time.monotonic() - started < 5


def headrace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", "topology", *arguments],
        env={
            **os.environ,
            "HEADRACE_TOPOLOGY": str(ROOT / "topology.yaml"),
            "HEADRACE_SCHEMAS": str(ROOT / "schemas"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_from_plan_to_nothing_to_do(cluster: KafkaCluster) -> None:
    def run(*arguments: str) -> Any:
        result = headrace(*arguments, KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    targets = {row["target"]: row["change"] for row in json.loads(run("plan", "--output", "json"))}
    assert targets["orders.inbound"] == "create topic"
    assert targets["order-events.fraud-detection"] == "preset offsets of group"
    assert "create topic" in run("plan")
    assert "registered contract commerce.order: version 1, id " in run("apply")
    assert run("apply") == "nothing to do\n"
    assert run("plan") == "nothing to do\n"
    assert json.loads(run("plan", "--output", "json")) == []


def test_lint_and_graph_need_no_broker() -> None:
    linted = headrace("lint", KAFKA_BOOTSTRAP_SERVERS=ABSENT)
    assert (linted.returncode, linted.stderr) == (0, "")
    assert len(linted.stdout.splitlines()) == 1
    drawn = headrace("graph", KAFKA_BOOTSTRAP_SERVERS=ABSENT)
    assert drawn.stdout.startswith("flowchart LR\n")


def test_findings_are_a_line_each_and_exit_1(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\ntopics:\n  a: {partitions: 1, contracts: [nope]}\n  headrace.b: {partitions: 1}\n")
    result = headrace("lint", "--topology", str(path))
    assert result.returncode == 1
    assert result.stdout == ""
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [f"{path}:3:34", f"{path}:4:3"]
    assert headrace("apply", "--topology", str(path), KAFKA_BOOTSTRAP_SERVERS=ABSENT).returncode == 1


def test_a_missing_file_exits_2(tmp_path: Path) -> None:
    result = headrace("lint", "--topology", str(tmp_path / "none.yaml"))
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)


def test_an_absent_broker_exits_3_in_bounded_time() -> None:
    started = time.monotonic()
    result = headrace("plan", KAFKA_BOOTSTRAP_SERVERS=ABSENT)
    assert result.returncode == 3
    assert len(result.stderr.splitlines()) == 1
    assert "no Kafka at 127.0.0.1:1" in result.stderr
    assert time.monotonic() - started < 25  # 8 s and the start of a process on a busy machine


def test_admin_clients_are_quiet(cluster: KafkaCluster, capfd: pytest.CaptureFixture[str]) -> None:
    admin = connect({"bootstrap.servers": cluster.bootstrap_servers})
    assert isinstance(admin, AdminClient)
    assert capfd.readouterr().err == ""
