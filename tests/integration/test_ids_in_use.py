"""Ids that are in use on a cluster survive a change of the registry, or the change is refused; with a real Apicurio."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer  # noqa: TID251 producers that are not ours

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.dev.registry import DevRegistry
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages.framing import SCHEMA_HEADER, frame
from streams.messages.registry import Registered
from tests.integration.command_line import Answer, headrace

HEADRACE = [sys.executable, "-c", "from streams.cli import main; main()"]
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
TOPOLOGY = """version: 1
topics:
  orders: {partitions: 1, contracts: [order]}
  large: {partitions: 1, contracts: [order]}
  small: {partitions: 1, contracts: [order]}
routers:
  - source: orders
    mode: first
    routes:
      - name: large
        conditions: [{field: payload.count, operator: greater_than, value: 10}]
        destinations: [{topic: large}]
      - {name: small, destinations: [{topic: small}]}
"""
COUNT: dict[str, Any] = {"name": "count", "type": "int"}
NOTE: dict[str, Any] = {"name": "note", "type": ["null", "string"], "default": None}
CE = [("ce_specversion", b"1.0"), ("ce_type", b"order"), ("ce_source", b"shop"), ("ce_time", b"2026-01-31T12:00:00Z")]


@dataclass
class Shop:
    """A folder with a topology and a contract, and the command line in it."""

    folder: Path
    settings: Settings
    environment: dict[str, str]

    def run(self, *arguments: str, registry: str = "") -> Answer:
        return headrace({**self.environment, "SCHEMA_REGISTRY_URL": registry}, *arguments)

    def worker(self, registry: str) -> "subprocess.Popen[str]":
        environment = {**self.environment, "SCHEMA_REGISTRY_URL": registry}
        return subprocess.Popen([*HEADRACE, "worker"], env=environment, stderr=subprocess.PIPE, text=True)

    def contract(self, *fields: dict[str, Any]) -> None:
        schema = {"type": "record", "name": "order", "namespace": "shop", "fields": list(fields)}
        (self.folder / "schemas" / "order.avsc").write_text(json.dumps(schema))

    def versions(self, registry: str = "") -> list[tuple[int, int]]:
        listed = self.run("schema", "list", "--output", "json", registry=registry)
        assert listed.returncode == 0, listed.stderr
        return [(row["version"], row["id"]) for row in json.loads(listed.stdout) if row["subject"] == "shop.order"]

    def received(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found


@pytest.fixture
def broker() -> Iterator[KafkaCluster]:
    """Of the test's own: the catalogue has one name."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def shop(
    tmp_path: Path,
    broker: KafkaCluster,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
) -> Shop:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    folders = {"HEADRACE_TOPOLOGY": tmp_path / "topology.yaml", "HEADRACE_SCHEMAS": tmp_path / "schemas"}
    settings = settings_for(broker.bootstrap_servers, HEADRACE_APP="", **folders)
    made = Shop(tmp_path, settings, environment_of(settings))
    made.contract(COUNT)
    return made


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DevRegistry]:
    made = DevRegistry(tmp_path / "registry")
    yield made
    made.wipe()


def test_ids_go_from_the_catalogue_to_a_registry_and_back_and_no_registry_without_them_is_taken(
    shop: Shop, registry: DevRegistry
) -> None:
    assert shop.run("topology", "apply").returncode == 0
    shop.contract(COUNT, NOTE)
    assert shop.run("schema", "register").returncode == 0
    assert shop.versions() == [(1, 1), (2, 2)]

    url = registry.start().url
    refusal = f"registry {url} lacks schema ids that are in use on this cluster"
    with shop.worker(url) as worker:
        for command in (("topology", "plan"), ("topology", "apply"), ("schema", "register")):
            refused = shop.run(*command, registry=url)
            assert (refused.returncode, refused.stdout) == (1, ""), command
            assert refused.stderr.startswith(refusal)
            assert "1 (shop.order/1), 2 (shop.order/2)" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
        said = worker.communicate(timeout=60)[1]
    assert worker.returncode == 1, said
    assert refusal in said
    assert shop.versions(url) == []

    carried_over = shop_runs_the_documented_script(shop, url)
    assert carried_over.returncode == 0, carried_over.stderr
    assert shop.versions(url) == [(1, 1), (2, 2)]
    assert shop.run("topology", "plan", registry=url).stdout == "nothing to do\n"

    shop.contract(COUNT, NOTE, {**NOTE, "name": "remark"})
    assert shop.run("topology", "apply", registry=url).returncode == 0
    assert shop.versions(url) == [(1, 1), (2, 2), (3, 3)]
    assert shop.versions() == [(1, 1), (2, 2), (3, 3)], "the catalogue lost an id on the way back"
    assert shop.run("topology", "plan").stdout == "nothing to do\n"
    refuses_an_incompatible_contract(shop, url)


def shop_runs_the_documented_script(shop: Shop, url: str) -> "subprocess.CompletedProcess[str]":
    """The script of docs/operations.md, word for word."""
    section = OPERATIONS.read_text().partition("## From one registry to another")[2]
    script = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert script is not None
    command = [sys.executable, "-c", script[1], url]
    environment = {**shop.environment, "SCHEMA_REGISTRY_URL": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def refuses_an_incompatible_contract(shop: Shop, url: str) -> None:
    """By field, in the plan already, whichever registry it is; and nothing at all is made."""
    shop.contract({"name": "count", "type": "long"}, {"name": "customer", "type": "string"})
    topology = shop.folder / "topology.yaml"
    topology.write_text(TOPOLOGY.replace("  orders:", "  more: {partitions: 1}\n  orders:"))
    lacks = "order.customer: new field without a default; older messages lack it, give it a default"
    for registry in ("", url):
        refused = shop.run("topology", "apply", registry=registry)
        assert (refused.returncode, refused.stdout) == (1, "")
        lines = [f"refused contract shop.order: {lacks} (version {version})" for version in (1, 2, 3)]
        assert refused.stderr.splitlines() == lines
        planned = json.loads(shop.run("topology", "plan", "--output", "json", registry=registry).stdout)
        assert [row["target"] for row in planned if row["change"] == "create topic"] == ["more"]
        assert {row["target"] for row in planned if row["change"] == "refused"} == {"contract shop.order"}


def test_a_worker_waits_for_its_registry_and_routes_both_framings(shop: Shop, registry: DevRegistry) -> None:
    url = registry.start().url
    applied = shop.run("topology", "apply", registry=url)
    assert applied.returncode == 0, applied.stderr
    registry.stop()
    settings = shop.settings.model_copy(update={"schema_registry_url": url})
    assert shop.run("topology", "plan", registry=url).returncode == 3
    with shop.worker(url) as worker:
        try:
            await_condition(lambda: "no registry at" in readiness(settings), 60, "the worker to say what it waits for")
            assert worker.poll() is None
            registry.start()
            order = open_registry(settings).all()[0]
            send_all_framings(shop, order)
            await_condition(lambda: len(shop.received("headrace.router.dlq")) == 2, 60, "both framings to be routed")
        finally:
            worker.send_signal(signal.SIGTERM)
        assert "Traceback" not in worker.communicate(timeout=40)[1]
    assert worker.returncode == 0
    by_topic = {topic: [message.value() for message in shop.received(topic)] for topic in ("large", "small")}
    assert by_topic == {"large": [frame(order.id, b"\x28"), b"\x28"], "small": [b"\x02"]}
    letters: list[dict[str, Any]] = [dict(letter.headers() or ()) for letter in shop.received("headrace.router.dlq")]
    assert [letter["headrace-category"] for letter in letters] == [b"INVALID_FORMAT", b"INVALID_FORMAT"]
    reasons = [letter["__streams.errors.message"] or b"" for letter in letters]
    assert b"which is not registered" in reasons[0]
    assert b"header __value_schema_id: expected" in reasons[1]


def send_all_framings(shop: Shop, order: Registered) -> None:
    """An order with its id in front, two whose GUID a header names, and two letters."""
    producer = Producer({**shop.settings.kafka_config()})
    named: list[tuple[bytes, bytes | None]] = [
        (frame(order.id, b"\x28"), None),
        (b"\x28", b"\x01" + order.guid),
        (b"\x02", b"\x01" + order.guid),
        (b"\x28", b"\x01" + uuid.uuid4().bytes),
        (b"\x28", b"guid"),
    ]
    for number, (value, header) in enumerate(named):
        headers: list[tuple[str, Any]] = [*CE, ("ce_id", b"m-%d" % number)]
        headers += [(SCHEMA_HEADER, header)] if header else []
        producer.produce("orders", value, b"ORD-1", headers=headers)
    assert producer.flush(20) == 0


def readiness(settings: Settings) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.web_port}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""
