"""A worker that calls a peer over HTTP, on a real broker: results, refusals, and a peer that is away for a while."""

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import load_contracts
from streams.topology.names import dead_letter_topic

ROOT = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-m", "streams.cli"]
CONTRACTS = {
    "PaymentRequested": {"order_id": "string", "cents": "int"},
    "RecordCharge": {"order_id": "string", "charge_id": "string"},
    "RecordDecline": {"order_id": "string", "reason": "string"},
}
INTENTS = 40
REFUSED = "ORD-7"


@dataclass
class Gateway:
    """A peer that charges each idempotency key once, refuses one order, and can be away."""

    away: threading.Event = field(default_factory=threading.Event)
    requests: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    failed: int = 0

    def answer(self, key: str, payment: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests[key].append(payment)
        if self.away.is_set():
            self.failed += 1
            return 503, {}
        if payment["order_id"] == REFUSED:
            return 402, {"reason": "no money"}
        return 201, {"order_id": payment["order_id"], "charge_id": f"charge of {key}", "more": "than asked"}


@pytest.fixture
def gateway() -> Iterator[tuple[Gateway, str]]:
    peer = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = peer.answer(self.headers["Idempotency-Key"], json.loads(body))
            told = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 as its base calls it
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield peer, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


@dataclass
class Payments:
    """Topics, contracts and a call of this test's own."""

    settings: Settings
    environment: dict[str, str]
    stage: str
    requests: str
    results: str

    def headrace(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [*HEADRACE, *arguments], env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found


@pytest.fixture
def payments(
    tmp_path: Path,
    kafka: Any,
    gateway: tuple[Gateway, str],
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    unique_name: Callable[[str], str],
) -> Payments:
    call, requests, results, space = map(unique_name, ("gateway", "requests", "results", "shop"))
    (tmp_path / "schemas").mkdir()
    for name, fields in CONTRACTS.items():
        schema = {
            "type": "record", "name": name, "namespace": space.replace("-", "_"),
            "fields": [{"name": each, "type": kind} for each, kind in fields.items()],
        }  # fmt: skip
        (tmp_path / "schemas" / f"{name}.avsc").write_text(json.dumps(schema))
    (tmp_path / "topology.yaml").write_text(
        f"""
version: 1
topics:
  {requests}: {{partitions: 2, contracts: [PaymentRequested]}}
  {results}: {{partitions: 2, contracts: [RecordCharge, RecordDecline]}}
contracts: {{PaymentRequested: {{key: payload.order_id}}}}
calls:
  - name: {call}
    url: "${{GATEWAY:-http://127.0.0.1:1}}"
    on: PaymentRequested
    request: {{path: /charges}}
    result: {{succeeds_with: RecordCharge, fails_with: RecordDecline}}
    circuit_breaker: {{failures: 5, reset: 300ms}}
    concurrency: 8
failures: {{defaults: {{retries: 2, backoff: {{initial: 200ms, max: 1s}}}}}}
"""
    )
    settings = settings_for(
        kafka.bootstrap_servers,
        HEADRACE_TOPOLOGY=tmp_path / "topology.yaml",
        HEADRACE_SCHEMAS=tmp_path / "schemas",
        HEADRACE_APP="",
    )
    environment = {**environment_of(settings), "GATEWAY": gateway[1]}
    made = Payments(settings, environment, f"calls.{call}", requests, results)
    made.headrace("topology", "apply")
    return made


@pytest.fixture
def worker(payments: Payments, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (tmp_path / "worker.log").open("wb") as log:
        command = [*HEADRACE, "worker", payments.stage]
        process = subprocess.Popen(command, env=payments.environment, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_every_intent_has_one_result_and_an_outage_of_the_peer_no_dead_letter(
    payments: Payments, gateway: tuple[Gateway, str], worker: "subprocess.Popen[bytes]"
) -> None:
    peer, _ = gateway
    peer.away.set()
    intents = [{"order_id": f"ORD-{n % 20}", "cents": n} for n in range(INTENTS)]
    payments.headrace(
        "send", "PaymentRequested", "--topic", payments.requests, stdin="\n".join(map(json.dumps, intents))
    )
    await_condition(lambda: peer.failed >= 12, 60, "failed calls")  # more than one key's retries
    peer.away.clear()
    await_condition(lambda: len(payments.read(payments.results)) >= INTENTS, 60, "results")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0

    assert payments.read(dead_letter_topic(payments.stage)) == []
    assert_results(payments, peer)
    by_key = defaultdict(list)
    for requests in peer.requests.values():
        assert len({each["cents"] for each in requests}) == 1, "an idempotency key is one intent's"
        by_key[requests[0]["order_id"]].append(requests[0]["cents"])
    assert all(cents == sorted(cents) for cents in by_key.values()), "the intents of a key stay in order"


def assert_results(payments: Payments, peer: Gateway) -> None:
    registry = open_registry(payments.settings)
    codec = Codec(load_contracts(payments.settings.schemas), registry.all())
    registry.close()
    caused = []
    for each in payments.read(payments.results):
        name, result = codec.decode(each.value() or b"")
        said: dict[str, Any] = dict(each.headers() or ())
        key = said[names.CAUSATION_ID].decode()
        caused.append(key)
        assert (each.key() or b"").decode() == result["order_id"]
        if result["order_id"] == REFUSED:
            assert (name, result["reason"]) == ("RecordDecline", "no money")
        else:
            assert (name, result["charge_id"]) == ("RecordCharge", f"charge of {key}")
    assert sorted(caused) == sorted(peer.requests), "each intent once"
