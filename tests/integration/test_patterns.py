"""The four patterns in a row on a real broker: what came twice passes once, is tapped, split and whole again."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.raw_producer import RawProducer
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import load_contracts
from streams.topology.names import dead_letter_topic

ROOT = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-m", "streams.cli"]
TOPICS = ("raw", "inbound", "tap", "lines", "whole")
PATTERNS = ("once", "audit", "split", "gather")
ORDERS = 5


def order(number: int) -> dict[str, Any]:
    lines = [{"sku": f"SKU-{n}", "quantity": n, "unit_price": "2.50"} for n in range(1, number + 1)]
    return {
        "order_id": f"ORD-{number}", "customer_id": "C-7", "total_amount": "1.00", "currency": "CHF", "country": "CH",
        "lines": lines,
    }  # fmt: skip


@dataclass
class Shop:
    """Topics and stages of this test's own, of the kinds of the example topology."""

    settings: Settings
    environment: dict[str, str]
    topics: dict[str, str]
    stages: list[str]

    def headrace(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [*HEADRACE, *arguments], env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self, *topics: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, topics, found.extend)
        return found

    def at(self, topic: str) -> list[Message]:
        return self.read(self.topics[topic])


@pytest.fixture
def shop(
    tmp_path: Path,
    kafka: Any,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    unique_name: Callable[[str], str],
) -> Shop:
    t = {name: unique_name(name) for name in TOPICS}
    p = {name: unique_name(name) for name in PATTERNS}
    (tmp_path / "topology.yaml").write_text(
        f"""
version: 1
topics:
  {t["raw"]}: {{partitions: 2, contracts: [order]}}
  {t["inbound"]}: {{partitions: 2, contracts: [order]}}
  {t["tap"]}: {{partitions: 3, contracts: [order]}}
  {t["lines"]}: {{partitions: 2, contracts: [order_line]}}
  {t["whole"]}: {{partitions: 1, contracts: [order]}}
contracts: {{order: {{key: payload.order_id}}, order_line: {{key: payload.order_id}}}}
patterns:
  - {{name: {p["once"]}, kind: idempotent_receiver, source: {t["raw"]}, window: 1d, destination: {t["inbound"]}}}
  - {{name: {p["audit"]}, kind: wire_tap, source: {t["inbound"]}, destination: {t["tap"]}}}
  - name: {p["split"]}
    kind: splitter
    source: {t["inbound"]}
    items: payload.lines
    to: order_line
    destination: {t["lines"]}
  - name: {p["gather"]}
    kind: aggregator
    source: {t["lines"]}
    correlate: payload.order_id
    complete: {{count: payload.line_count}}
    to: order
    destination: {t["whole"]}
"""
    )
    settings = settings_for(kafka.bootstrap_servers, HEADRACE_TOPOLOGY=tmp_path / "topology.yaml")
    made = Shop(settings, environment_of(settings), t, [f"patterns.{name}" for name in p.values()])
    made.headrace("topology", "apply")
    return made


@pytest.fixture
def worker(shop: Shop, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (tmp_path / "worker.log").open("wb") as log:
        command = [*HEADRACE, "worker", *shop.stages]
        process = subprocess.Popen(command, env=shop.environment, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_came_twice_passes_once_is_tapped_split_and_whole_again(
    shop: Shop, worker: "subprocess.Popen[bytes]"
) -> None:
    sent = [order(number) for number in range(1, ORDERS + 1)]
    shop.headrace("send", "order", "--topic", shop.topics["raw"], stdin="\n".join(map(json.dumps, sent)))
    send_again(shop, shop.at("raw"))
    await_condition(lambda: len(shop.at("whole")) >= ORDERS, 60, "whole orders")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0

    assert len(shop.at("raw")) == 2 * ORDERS
    passed = untouched(shop.at("inbound"))
    assert passed == untouched(shop.at("raw"))
    assert len(shop.at("inbound")) == ORDERS, "each once"
    assert sorted(untouched(shop.at("tap"))) == sorted(passed)
    assert len(shop.at("tap")) == ORDERS
    assert len({dict(each.headers() or ())[names.ID] for each in shop.at("lines")}) == sum(range(1, ORDERS + 1))
    assert payloads(shop, shop.at("whole")) == payloads(shop, shop.at("inbound"))
    assert shop.read(*map(dead_letter_topic, shop.stages)) == []


def send_again(shop: Shop, messages: list[Message]) -> None:
    """As a producer without idempotence does, that did not hear the broker's answer."""
    with RawProducer(shop.settings) as producer:
        for each in messages:
            headers: Any = each.headers()
            producer.send(shop.topics["raw"], each.value(), each.key(), headers=headers)


def untouched(messages: list[Message]) -> set[tuple[Any, ...]]:
    return {(each.key(), each.value(), tuple(each.headers() or ())) for each in messages}


def payloads(shop: Shop, messages: list[Message]) -> dict[bytes | str | None, Any]:
    registry = open_registry(shop.settings)
    codec = Codec(load_contracts(ROOT / "schemas"), registry.all())
    registry.close()
    return {each.key(): codec.decode(each.value() or b"")[1] for each in messages}
