"""A worker of the example domain's transformer: partners' messages in three formats become orders, on a real broker."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
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
V1 = {
    "ref": "ORD-1",
    "amount": "30.00",
    "first_name": "Ada",
    "last_name": "Byron",
    "items": [{"code": "A", "qty": "3"}],
}
V2 = {"order_ref": "ORD-2", "total": "8.00", "currency": "CHF", "buyer": "Bob", "lines": [{"sku": "B", "quantity": 2}]}
LINES = [b"ORD-3,C-7,SKU-1,2,4.50,,", b"ORD-4,C-7,SKU-1,two,4.50,,"]


@dataclass
class Partners:
    """Topics of this test's own, with the contracts, mapping and converters of the example domain."""

    settings: Settings
    environment: dict[str, str]
    stage: str
    orders: str
    lines: str
    inbound: str

    def headrace(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*HEADRACE, *arguments], env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def read(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found


@pytest.fixture
def partners(
    tmp_path: Path,
    kafka: Any,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    unique_name: Callable[[str], str],
) -> Partners:
    stage, orders, lines, inbound = map(unique_name, ("transformer", "partner.orders", "partner.lines", "inbound"))
    example = (ROOT / "topology.yaml").read_text()
    (tmp_path / "topology.yaml").write_text(
        f"""
version: 1
topics:
  {orders}: {{partitions: 2, contracts: [partner_order_v1, partner_order_v2]}}
  {lines}: {{partitions: 2, format: csv_order_line}}
  {inbound}: {{partitions: 4, contracts: [order]}}
contracts: {{order: {{key: payload.order_id}}}}
transformations:
  - {{source: {orders}, stage: {stage}, to: order, destination: {inbound}}}
  - {{source: {lines}, stage: {stage}, from: csv_order_line, to: order, destination: {inbound}}}
{example[example.index("mappings:") :]}"""
    )
    settings = settings_for(kafka.bootstrap_servers, HEADRACE_TOPOLOGY=tmp_path / "topology.yaml")
    made = Partners(settings, environment_of(settings), stage, orders, lines, inbound)
    made.headrace("topology", "apply")
    return made


@pytest.fixture
def worker(partners: Partners, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (tmp_path / "worker.log").open("wb") as log:
        command = [*HEADRACE, "worker", partners.stage]
        process = subprocess.Popen(command, env=partners.environment, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_three_formats_become_orders_and_what_cannot_be_read_a_dead_letter(
    partners: Partners, worker: "subprocess.Popen[bytes]"
) -> None:
    broken = {**V1, "ref": "ORD-5", "items": [{"code": "A", "qty": "x"}]}
    lines = f"{json.dumps(V1)}\n{json.dumps(broken)}"
    partners.headrace("send", "partner_order_v1", "--topic", partners.orders, stdin=lines)
    partners.headrace("send", "partner_order_v2", "--topic", partners.orders, stdin=json.dumps(V2))
    with RawProducer(partners.settings) as producer:
        for line in LINES:
            producer.send(partners.lines, line, b"C-7")
    letters = dead_letter_topic(partners.stage)
    await_condition(lambda: len(partners.read(partners.inbound) + partners.read(letters)) >= 5, 60, "five outcomes")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0

    assert_orders(partners, partners.read(partners.inbound))
    failures = {dict(each.headers() or ())["__streams.errors.message"] for each in partners.read(letters)}
    assert failures == {
        b'partner_order_v1 -> partner_order_v2: lines[0].quantity: expected int as text, got "x"',
        b'quantity: expected int as text, got "two"',
    }


def assert_orders(partners: Partners, made: list[Message]) -> None:
    """The three that could be converted, each said to be what it is and keyed as its contract says."""
    registry = open_registry(partners.settings)
    codec = Codec(load_contracts(ROOT / "schemas"), registry.all())
    registry.close()
    orders = {each.key(): codec.decode(each.value() or b"")[1] for each in made}
    totals = {key: (order["total_amount"], order["lines"][0]["unit_price"]) for key, order in orders.items()}
    assert totals == {
        b"ORD-1": (Decimal("30.00"), Decimal("10.00")),
        b"ORD-2": (Decimal("8.00"), Decimal("4.00")),
        b"ORD-3": (Decimal("9.00"), Decimal("4.50")),
    }
    assert orders[b"ORD-1"]["customer_id"] == "Ada Byron"
    for each in made:
        said: dict[str, Any] = dict(each.headers() or ())
        assert (said[names.TYPE], said[names.SUBJECT]) == (b"order", each.key())
        assert said[names.CAUSATION_ID] == said[names.CORRELATION_ID]
        rule = f"{partners.stage}:commerce.order:{partners.inbound}"
        assert said[names.ID].decode() == names.message_id(said[names.CAUSATION_ID].decode(), rule)
