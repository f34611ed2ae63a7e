"""`headrace dlq` and the HTTP API on a router's letters, on a real broker: looked into, sent back, given up."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.raw_producer import RawProducer
from streams.engine.topic_reader import read_topics

ROOT = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-m", "streams.cli"]
WAIT_S = 60
ORDER: dict[str, Any] = {
    "order_id": "ORD-1", "customer_id": "C-7", "total_amount": "1499.00", "currency": "EUR", "country": "DE",
    "lines": [], "note": None,
}  # fmt: skip
SMALL_ORDERS = "      - {{name: small, destinations: [{{queue: {small}}}]}}\n"
TEXT = """version: 1
topics:
  {source}: {{partitions: 2, contracts: [order]}}
  {large}: {{partitions: 2, contracts: [order]}}
  {small}: {{partitions: 2, contracts: [order]}}
contracts: {{order: {{key: payload.order_id}}}}
routers:
  - source: {source}
    stage: {stage}
    routes:
      - name: large
        conditions: [{{field: payload.total_amount, operator: greater_than, value: 1000}}]
        destinations: [{{queue: {large}}}]
"""


@dataclass
class Bus:
    """A router of this test's own; orders of 1000 and below have no route until `mend`."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    names: dict[str, str]

    def write(self, text: str) -> None:
        (self.folder / "topology.yaml").write_text(text.format(**self.names))

    def headrace(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*HEADRACE, *arguments], env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dlq(self, verb: str, *arguments: str) -> Any:
        return json.loads(self.headrace("dlq", verb, *arguments, "--output", "json"))

    def letters(self, *filters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.dlq("list", "--stage", self.names["stage"], *filters)
        return found

    def read(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found

    def keys(self, topic: str) -> list[bytes | None]:
        return sorted((message.key() for message in self.read(topic)), key=str)

    @contextmanager
    def worker(self) -> Iterator[None]:
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen([*HEADRACE, "worker"], env=self.environment, cwd=ROOT, stderr=log)
        try:
            await_condition(self.is_ready, WAIT_S, "the worker to be ready")
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()
            process.wait()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.settings.worker_url()}/readyz", timeout=2) as answer:  # noqa: S310 ours
                return bool(answer.status == 200)
        except OSError:
            return False

    def post(self, path: str, body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310 ours
            self.settings.worker_url() + path, json.dumps(body).encode(), {"Authorization": "Bearer do-it"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 the same
            return json.load(answer)


@pytest.fixture
def bus(
    tmp_path: Path,
    kafka: Any,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    unique_name: Callable[[str], str],
) -> Bus:
    settings = settings_for(kafka.bootstrap_servers, HEADRACE_TOPOLOGY=tmp_path / "topology.yaml", HEADRACE_APP="")
    environment = {**environment_of(settings), "HEADRACE_WEB_TOKENS": "do-it:operator"}
    made = Bus(
        tmp_path, settings, environment, {name: unique_name(name) for name in ("source", "large", "small", "stage")}
    )
    made.write(TEXT)
    made.headrace("topology", "apply")
    return made


def test_letters_are_found_looked_into_mended_sent_back_and_given_up(bus: Bus) -> None:
    orders = [
        ORDER,
        {**ORDER, "order_id": "ORD-2", "total_amount": "20.00"},
        {**ORDER, "order_id": "ORD-3", "total_amount": "30.00"},
    ]
    bus.headrace("send", "order", "--topic", bus.names["source"], stdin="\n".join(map(json.dumps, orders)))
    with RawProducer(bus.settings) as producer:
        producer.send(bus.names["source"], b"hello", None)
    with bus.worker():
        await_condition(lambda: len(bus.letters()) == 3, WAIT_S, "the letters in the index")
        look_into(bus)
        (garbage,) = bus.letters("--category", "INVALID_FORMAT")
        asked = bus.post("/api/deadletters/discard", {"ids": [garbage["id"]]})
        assert asked == {"requested": [garbage["id"]], "refused": [], "next": None}
        await_condition(lambda: len(bus.letters("--state", "discarded")) == 1, WAIT_S, "it to be given up")
        dry = bus.dlq("redrive", "--stage", bus.names["stage"])
        assert [(row["category"], row["letters"]) for row in dry] == [("UNROUTABLE", 2)]
        assert not bus.letters("--state", "redriven")
    bus.write(TEXT + SMALL_ORDERS)
    bus.headrace("topology", "apply")
    with bus.worker():
        command = ("redrive", "--stage", bus.names["stage"], "--rate", "100", "--execute")
        assert sum(row["letters"] for row in bus.dlq(*command)) == 2
        await_condition(lambda: len(bus.letters("--state", "redriven")) == 2, WAIT_S, "them to be sent back")
        await_condition(lambda: len(bus.read(bus.names["small"])) == 2, WAIT_S, "them to be routed")
        assert bus.dlq(*command) == [], "there is nothing left to send back"
    assert bus.keys(bus.names["small"]) == [b"ORD-2", b"ORD-3"]
    assert bus.keys(bus.names["large"]) == [b"ORD-1"]
    own = [
        m
        for m in bus.read("headrace.review")
        if dict(m.headers() or ())["headrace-stage"] == bus.names["stage"].encode()
    ]
    assert {m.key() for m in own} == {b"ORD-2", b"ORD-3", None}
    assert len(own) == 3


def look_into(bus: Bus) -> None:
    """What people see of the letters."""
    groups = bus.dlq("group", "--stage", bus.names["stage"], "--by", "category,exception,state")
    assert [(row["category"], row["exception"], row["state"], row["letters"]) for row in groups] == [
        ("UNROUTABLE", "NoRouteMatches", "reviewed", 2),
        ("INVALID_FORMAT", "InvalidMessage", "reviewed", 1),
    ]
    (letter,) = bus.letters("--key", "ORD-2")
    shown = bus.dlq("show", letter["id"])
    assert (shown["contract"], shown["payload"]["total_amount"]) == ("order", "20.00")
    assert "NoRouteMatches" in shown["stacktrace"]
    request = urllib.request.Request(  # noqa: S310 ours
        f"{bus.settings.worker_url()}/deadletters/{letter['id']}", headers={"Authorization": "Bearer do-it"}
    )
    with urllib.request.urlopen(request, timeout=10) as page:  # noqa: S310 the same
        assert "ORD-2" in page.read().decode()
