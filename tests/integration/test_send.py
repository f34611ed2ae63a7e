"""`headrace schema` and `headrace send` as a person runs them, on a real broker."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.engine.partitioner import partition_of
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages.codec import Codec
from streams.messages.contracts import load_contracts
from streams.messages.skipping import compile_reader

HEADRACE = [sys.executable, "-c", "from streams.cli import main; main()"]
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
LINE = {"type": "record", "name": "Line", "fields": [{"name": "quantity", "type": "int"}]}
FIELDS = [
    {"name": "order_id", "type": "string"},
    {"name": "total", "type": MONEY},
    {"name": "lines", "type": {"type": "array", "items": LINE}, "default": []},
]


@dataclass
class Shop:
    """A folder with a topology and a contract, and the command line in it."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    namespace: str
    topic: str

    def headrace(self, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*HEADRACE, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def contract(self, *more: dict[str, Any]) -> None:
        schema = {"type": "record", "name": "order", "namespace": self.namespace, "fields": [*FIELDS, *more]}
        (self.folder / "schemas" / "order.avsc").write_text(json.dumps(schema))

    def received(self) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [self.topic], found.extend)
        return found


@pytest.fixture
def shop(
    tmp_path: Path,
    kafka: Any,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    make_topic: Callable[..., str],
    unique_name: Callable[[str], str],
) -> Shop:
    topic = make_topic("orders", config={"max.message.bytes": "20000"})
    (tmp_path / "schemas").mkdir()
    (tmp_path / "topology.yaml").write_text(
        f"version: 1\ntopics:\n  {topic}: {{partitions: 4, contracts: [order]}}\n"
        "  declared.only: {partitions: 4, contracts: [order]}\n  others: {partitions: 4, contracts: [customer]}\n"
        "contracts:\n  order: {key: payload.order_id}\n"
    )
    folders = {"HEADRACE_TOPOLOGY": tmp_path / "topology.yaml", "HEADRACE_SCHEMAS": tmp_path / "schemas"}
    settings = settings_for(kafka.bootstrap_servers, **folders)
    made = Shop(tmp_path, settings, environment_of(settings), unique_name("shop").replace("-", "_"), topic)
    made.contract()
    return made


@pytest.fixture
def registered(shop: Shop) -> Shop:
    done = shop.headrace("schema", "register")
    assert done.returncode == 0, done.stderr
    return shop


def mine(shop: Shop) -> list[dict[str, Any]]:
    listed = shop.headrace("schema", "list", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    return [row for row in json.loads(listed.stdout) if row["subject"].startswith(shop.namespace)]


def test_a_contract_is_checked_registered_and_listed(shop: Shop) -> None:
    assert shop.headrace("schema", "check").returncode == 0
    assert mine(shop) == []
    done = shop.headrace("schema", "register", "order")
    assert done.returncode == 0
    [row] = mine(shop)
    assert row == {"name": "order", "subject": f"{shop.namespace}.order", "version": 1, "id": row["id"]}
    assert f"{shop.namespace}.order: version 1, id {row['id']}" in done.stdout
    assert shop.headrace("schema", "register").stdout == done.stdout
    assert "order" in shop.headrace("schema", "list").stdout


def test_an_incompatible_contract_is_refused_by_field(registered: Shop) -> None:
    registered.contract({"name": "currency", "type": "string"})
    for command in ("check", "register"):
        done = registered.headrace("schema", command)
        assert done.returncode == 1
        assert done.stderr.startswith("order.currency: new field without a default")
        assert "Traceback" not in done.stderr
    assert [row["version"] for row in mine(registered)] == [1]


def test_a_detail_of_implementation_is_warned_of(shop: Shop) -> None:
    shop.contract({"name": "db_host", "type": "string", "default": "10.0.0.1"})
    done = shop.headrace("schema", "check")
    assert done.returncode == 0
    assert "warning: order.db_host: '10.0.0.1' looks like a host name" in done.stderr


def test_without_a_broker_only_the_files_are_checked(shop: Shop, tmp_path: Path) -> None:
    done = shop.headrace("schema", "check", KAFKA_BOOTSTRAP_SERVERS="", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0
    assert "1 contract valid" in done.stdout
    assert "compatibility not checked" in done.stderr


def test_lines_become_messages_and_invalid_ones_are_reported(registered: Shop) -> None:
    lines = [
        {"order_id": "ORD-1", "total": "12.50", "lines": [{"quantity": 2}]},
        {"order_id": "ORD-2", "total": "1.00", "lines": [{"quantity": "x"}]},
        {"order_id": "ORD-3", "total": "0.99"},
    ]
    done = registered.headrace(
        "send", "order", "--topic", registered.topic, stdin="\n".join([*map(json.dumps, lines), "", "{broken"])
    )
    assert done.returncode == 1
    assert 'line 2: lines[0].quantity: expected int, got "x"' in done.stderr
    assert "line 5: not JSON" in done.stderr
    assert "sent 2, 2 invalid" in done.stderr.splitlines()[-1]
    assert done.stderr.endswith("; 2 of 4 lines were not sent\n")
    assert "Traceback" not in done.stderr

    messages = {message.key(): message for message in registered.received()}
    assert messages.keys() == {b"ORD-1", b"ORD-3"}
    _check_message(registered, messages[b"ORD-1"])


def _check_message(shop: Shop, message: Message) -> None:
    registry = open_registry(shop.settings)
    codec = Codec(load_contracts(shop.settings.schemas), registry.all())
    registry.close()
    name, payload = codec.decode(message.value() or b"")
    assert (name, payload["order_id"], str(payload["total"])) == ("order", "ORD-1", "12.50")
    assert message.partition() == partition_of(b"ORD-1", 4)
    headers = dict(message.headers() or [])
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"order"
    assert headers["ce_source"] == b"headrace-send"
    assert headers["ce_dataschema"] == f"{shop.namespace}.order/1".encode()
    assert headers["content-type"] == b"application/avro"
    assert headers["ce_correlationid"]


def test_what_the_broker_refuses_is_reported_and_the_rest_is_sent(registered: Shop) -> None:
    noise = "".join(chr(0x4E00 + (n * n * 7919) % 20000) for n in range(20_000))
    lines = [{"order_id": order_id, "total": "1.00"} for order_id in ("ORD-1", f"ORD-{noise}", "ORD-3")]
    (registered.folder / "orders.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = registered.headrace("send", "order", "--topic", registered.topic, "--file", "orders.jsonl")
    assert done.returncode == 1
    assert "line 2: Kafka refused it" in done.stderr
    assert {message.key() for message in registered.received()} == {b"ORD-1", b"ORD-3"}


@pytest.mark.parametrize(
    ("type_name", "topic", "expected", "exit_code"),
    [
        ("ordr", "others", "unknown contract `ordr`; known: order", 2),
        ("order", "nowhere", "unknown topic nowhere", 2),
        ("order", "others", "topic others carries customer, not order", 2),
        ("order", "declared.only", "topic declared.only is not on the cluster; run `headrace topology apply`", 1),
    ],
)
def test_a_wrong_name_is_one_line(shop: Shop, type_name: str, topic: str, expected: str, exit_code: int) -> None:
    done = shop.headrace("send", type_name, "--topic", topic)
    assert done.returncode == exit_code
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


def test_a_contract_that_is_not_registered_is_one_line(shop: Shop) -> None:
    done = shop.headrace("send", "order", "--topic", shop.topic)
    assert done.returncode == 1
    assert "contract order is not registered as it stands; run `headrace schema register`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_broker_that_does_not_answer_ends_commands_with_3_in_time(shop: Shop, free_port: Callable[[], int]) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    commands = [["send", "order", "--topic", "others2"], ["schema", "list"], ["schema", "check"]]
    start = time.monotonic()
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda command: shop.headrace(*command, KAFKA_BOOTSTRAP_SERVERS=nobody), commands))
    assert [done.returncode for done in ended] == [3, 3, 3]
    assert [len(done.stderr.splitlines()) for done in ended] == [1, 1, 1]
    assert time.monotonic() - start < 40


def test_many_lines_are_sent_in_order_of_their_keys(registered: Shop) -> None:
    count = 20_000
    with (registered.folder / "many.jsonl").open("w") as file:
        for number in range(count):
            file.write(json.dumps({"order_id": f"ORD-{number % 50}", "total": f"{number}.00"}) + "\n")
    done = registered.headrace("send", "order", "--topic", registered.topic, "--file", "many.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("sent 20,000 in ")
    total = compile_reader(load_contracts(registered.settings.schemas)["order"].parsed, "total")
    totals: dict[bytes, list[Any]] = {}
    for message in registered.received():
        totals.setdefault(message.key() or b"", []).append(total(message.value() or b""))
    assert totals == {f"ORD-{key}".encode(): list(range(key, count, 50)) for key in range(50)}
