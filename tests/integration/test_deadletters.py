"""The dead letter stage beside a stage with trouble, on a real broker: what comes back, once, and what is told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.deadletters.asking import append, append_at_rate
from streams.deadletters.index import AGENDA, LETTERS
from streams.deadletters.letter import Letter, Position, State
from streams.deadletters.requests import Action, Request
from streams.deadletters.stage import deadletters_spec, deadletters_stage
from streams.deadletters.subscriptions import commit_again, subscription_groups
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.group_offsets import committed_offsets
from streams.engine.reads import NotServedHere
from streams.engine.retrying import RetryPolicy
from streams.engine.stage import StageSpec, TableSpec
from streams.errors import BusinessRuleViolation, TransientError
from streams.topology.apply import apply_plan
from streams.topology.cluster import read_cluster
from streams.topology.connection import connect
from streams.topology.desired import desired_groups, desired_topics
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from streams.topology.plan import make_plan
from tests.integration.engine.counting import count, counting_app
from tests.integration.engine.stages import WAIT_S, Bench, running

PARTITIONS, DLQ_PARTITIONS = 2, 3
TEXT = """version: 1
topics:
  {name}.in: {{partitions: {partitions}}}
  {name}.out: {{partitions: 2}}
  {name}.watched: {{partitions: 2}}
routers:
  - {{source: {name}.in, routes: [{{name: r, destinations: [{{topic: {name}.watched, subscription: reader}}]}}]}}
failures:
  dlq_partitions: {dlq_partitions}
  redrive: {{automatic: [TRANSIENT], attempts: 2, backoff: {{initial: 300ms, factor: 1, max: 1s, jitter: 0}}}}
  notify: {{webhook: "{webhook}"}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Of its own, for the dead letter stage is one on a cluster."""
    with KafkaCluster() as cluster:
        yield cluster


@dataclass
class Trouble:
    """Counts like `count`, but fails where it is told to."""

    errors: dict[bytes, list[Exception]] = field(default_factory=dict)
    bug: bool = False

    def __call__(self, batch: Batch, record: Message) -> None:
        value = record.value() or b""
        if self.errors.get(value):
            raise self.errors[value].pop(0)
        if self.bug and value.startswith(b"bad"):
            raise ValueError("a bug")
        count(batch, record)


@dataclass
class World:
    """A stage with trouble, and the stage of its letters."""

    topology: Topology
    settings: Settings
    bench: Bench
    letters: StageSpec
    trouble: Trouble = field(default_factory=Trouble)

    def apps(self) -> tuple[StageApp, StageApp]:
        stage = counting_app(self.bench.spec, self.settings, self.trouble)
        return stage, deadletters_stage(self.letters, [self.bench.spec], self.topology, self.settings)

    def out(self) -> dict[bytes, list[bytes]]:
        found = self.bench.read(f"{self.bench.spec.name}.out")
        by_key: dict[bytes, list[bytes]] = {}
        for message in found:
            by_key.setdefault(message.key() or b"", []).append((message.value() or b"").partition(b":")[0])
        return by_key


@pytest.fixture
def make_world(
    cluster: KafkaCluster, settings_for: Callable[..., Settings], unique_name: Callable[[str], str]
) -> Callable[..., World]:
    def make(webhook: str = "http://127.0.0.1:1/", retries: int = 0) -> World:
        name = unique_name("counting")
        text = TEXT.format(name=name, partitions=PARTITIONS, dlq_partitions=DLQ_PARTITIONS, webhook=webhook)
        topology = parse_topology(text, "t.yaml", {})
        policy = RetryPolicy(retries=retries, initial_s=0.05, max_s=0.05, jitter=0, outage_failures=1000)
        spec = StageSpec(name, (f"{name}.in",), (TableSpec("counts"),), frozenset({f"{name}.out"})).retrying(policy)
        letters = deadletters_spec([spec])
        assert letters is not None
        settings = settings_for(cluster.bootstrap_servers, HEADRACE_STORE="memory")
        admin = connect(settings.kafka_config())
        groups = desired_groups(topology, (spec, letters))

        def committed(group: str, partitions: object) -> dict[tuple[str, int], int]:
            return committed_offsets(settings.kafka_config(), group, partitions)  # type: ignore[arg-type]

        state = read_cluster(admin, lambda _: True, groups.values(), committed)
        list(apply_plan(admin, make_plan(desired_topics(topology, (spec, letters), state), groups, (), state), str))
        return World(topology, settings, Bench(spec, settings, admin, PARTITIONS), letters)

    return make


def index(app: StageApp, stage: str) -> list[Letter]:
    """The committed letters of a stage, in order."""
    reads = app.reads()
    found = []
    try:
        for partition in reads.local_partitions():
            rows = reads.scan(LETTERS, partition, prefix=f"{stage}:".encode(), limit=100_000)
            found += [Letter.of_row(row.value) for row in rows]
    except NotServedHere:
        return []
    return sorted(found, key=lambda letter: letter.id)


def is_drained(bench: Bench) -> bool:
    """Whether a stage has passed all records of its sources; behind the last one a transaction's end may stand."""
    committed = bench.committed()
    return all(end - committed[place] <= 1 for place, end in bench.ends().items())


def requests(action: Action, letters: list[Letter]) -> list[Request]:
    return [Request(action, letter.id, Position.parse(letter.letter)) for letter in letters]


def test_letters_are_indexed_redriven_once_when_mended_and_discarded(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.trouble.bug = True
    name = world.bench.spec.name
    world.bench.produce([(b"k%d" % (n % 5), b"bad%d" % n) for n in range(40)])
    world.bench.produce([(None, b"bad40"), (None, b"good")])
    with running(*world.apps()) as stages:
        app = stages.apps[1]
        await_condition(lambda: len(index(app, name)) == 41, WAIT_S, "all letters in the index")
        found = index(app, name)
        assert {letter.category for letter in found} == {"UNKNOWN", "HELD"}
        assert {letter.state for letter in found if letter.category == "UNKNOWN"} == {State.ARCHIVED}
        world.trouble.bug = False
        given_up = [letter for letter in found if letter.key == "k4"][-1:]
        append(world.settings, requests(Action.DISCARD, given_up))
        back = [letter for letter in found if letter not in given_up]
        # Killed half-way and run again, which by then may still see all letters as they were.
        append_at_rate(world.settings, requests(Action.REDRIVE, back[:20]), None, lambda _: None)
        append_at_rate(world.settings, requests(Action.REDRIVE, back), None, lambda _: None)
        await_condition(lambda: not any(letter.is_open for letter in index(app, name)), WAIT_S, "all to be closed")
        await_condition(lambda: sum(map(len, world.out().values())) >= 41, WAIT_S, "what was sent back")
        await_condition(lambda: is_drained(world.bench), WAIT_S, "everything that was sent back")
        letters = index(app, name)
    for key, values in world.out().items():
        if key.startswith(b"k"):
            expected = [b"bad%d" % n for n in range(40) if b"k%d" % (n % 5) == key]
            assert values == (expected[:-1] if key == b"k4" else expected), "in order, each once"
    assert sorted(world.out()[b""]) == [b"bad40", b"good"]
    assert {letter.redrives for letter in letters if letter.state is State.REDRIVEN} == {1}
    assert [letter.state for letter in letters if letter.id == given_up[0].id] == [State.DISCARDED]


def test_transient_letters_return_by_themselves_with_those_behind_them(make_world: Callable[..., World]) -> None:
    world = make_world()
    down = TransientError("the other side is down")
    world.trouble.errors = {b"a1": [down, down], b"b1": [down] * 9}
    world.bench.produce([(b"a", b"a1"), (b"a", b"a2"), (b"b", b"b1"), (b"c", b"c1")])
    name = world.bench.spec.name
    with running(*world.apps()) as stages:
        app = stages.apps[1]
        await_condition(lambda: world.out().get(b"a") == [b"a1", b"a2"], WAIT_S, "a1 and a2 to return")
        await_condition(
            lambda: [(x.redrives, x.next_redrive_at) for x in index(app, name) if x.key == "b"] == [(2, None)],
            WAIT_S,
            "b1 to be left to people",
        )
        (of_b,) = (letter for letter in index(app, name) if letter.key == "b")
        assert (of_b.state, of_b.is_open) == (State.NEW, True)
    assert b"b" not in world.out()


def test_a_stalled_webhook_holds_up_nothing_and_is_told_in_the_end(make_world: Callable[..., World]) -> None:
    with webhook() as hook:
        hook.stalled.set()
        world = make_world(webhook=hook.url)
        world.trouble.errors = {b"a1": [BusinessRuleViolation("no")]}
        world.bench.produce([(b"a", b"a1")])
        name = world.bench.spec.name
        with running(*world.apps()) as stages:
            app = stages.apps[1]
            await_condition(lambda: hook.calls > 0, WAIT_S, "the webhook to be called")
            world.trouble.errors = {b"z1": [ValueError("a bug")]}
            world.bench.produce([(b"z", b"z1")])
            await_condition(lambda: len(index(app, name)) == 2, 5, "the next letter, while the webhook stalls")
            hook.stalled.clear()
            await_condition(lambda: bool(hook.heard), WAIT_S, "the webhook to hear of it")
            await_condition(lambda: not waiting(app), WAIT_S, "it to be noted")
        assert {body["category"] for body in hook.heard} == {"BUSINESS_RULE"}
        assert {body["id"] for body in hook.heard} == {id_of_business_rule(world)}
    shown = [dict(m.headers() or ())["headrace-stage"] for m in world.bench.read("headrace.notifications")]
    assert name.encode() in shown


def id_of_business_rule(world: World) -> str:
    (letter,) = (letter for letter in world.bench.letters() if letter.category == "BUSINESS_RULE")
    return ":".join(map(str, (world.bench.spec.name, *letter.origin)))


def waiting(app: StageApp) -> bool:
    reads = app.reads()
    return any(reads.scan(AGENDA, partition, prefix=b"tell:") for partition in reads.local_partitions())


def test_what_is_no_request_becomes_a_letter_of_the_stage_itself(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.bench.produce([(b"x", b"nonsense")], topic=world.letters.lead)
    with running(*world.apps()):
        await_condition(lambda: bool(world.bench.read(world.letters.dead_letters)), WAIT_S, "its letter")
    (message, *_) = world.bench.read(world.letters.dead_letters)
    assert dict(message.headers() or ())["headrace-category"] == b"INVALID_FORMAT"


def test_offsets_of_subscriptions_are_committed_again_unless_somebody_reads(make_world: Callable[..., World]) -> None:
    world = make_world()
    name = world.bench.spec.name
    (group,) = subscription_groups(world.topology)
    assert group.name == f"{name}.watched.reader"
    assert commit_again(world.settings, [group]) == [group.name]
    asked = [(f"{name}.watched", partition) for partition in range(2)]
    before = committed_offsets(world.settings.kafka_config(), group.name, asked)
    assert set(before.values()) == {0}
    world.bench.produce([(b"a", b"1"), (b"b", b"2")], topic=f"{name}.watched")
    assert commit_again(world.settings, [group]) == [group.name]
    assert committed_offsets(world.settings.kafka_config(), group.name, asked) == before


@dataclass
class Hook:
    """A webhook that answers 500 while it is stalled."""

    url: str
    stalled: threading.Event = field(default_factory=threading.Event)
    calls: int = 0
    heard: list[dict[str, object]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.calls += 1
            while hook.stalled.is_set() and not closing.wait(0.05):
                pass
            hook.heard.append(body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    closing = threading.Event()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(WAIT_S)
