"""Tagged fields, data keys and signatures on a real broker: plaintext is nowhere, and what is shredded stays so."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.cli import main
from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.encryption import open_encryption
from streams.engine.key_changes import Record, Records, change_keys, read_keys
from streams.engine.key_topic import KeyTopic
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages.codec import Codec
from streams.messages.contracts import load_contracts
from streams.messages.signed import check_signatures
from streams.security.fields import ShreddedField
from streams.security.key_ring import parse_key_ring
from streams.security.signatures import Verifier
from streams.topology.loading import load_topology
from tests.unit.security.memory import RING, encoded

PII = {"confluent:tags": ["PII"]}
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "email", "type": "string", **PII},
    {"name": "phones", "type": {"type": "array", "items": "string"}, "default": [], **PII},
    {"name": "note", "type": "string"},
]
TOPOLOGY = """version: 1
topics:
  people.inbound: {partitions: 2, contracts: [person]}
  people.all: {partitions: 2, contracts: [person]}
  people.contacts: {partitions: 2, contracts: [contact]}
contracts: {person: {key: payload.id}, contact: {key: payload.id}}
routers:
  - source: people.inbound
    routes: [{name: all, destinations: [{topic: people.all}]}]
transformations: [{source: people.all, to: contact, destination: people.contacts}]
mappings: [{from: person, to: contact, fields: {id: {from: id}, mail: {from: email}}}]
stages: {reader: {}}
security:
  subject: {person: payload.id, contact: payload.id}
  decrypt: {transformer: [person], reader: [person, contact]}
  signed: [people.inbound, people.contacts]
"""
KEYS = {"2025": encoded(bytes(range(32))), "2026": encoded(bytes(range(32, 64)))}


@dataclass(frozen=True)
class World:
    """A topology that is applied to a broker, and the command line in its folder."""

    folder: Path
    settings: Settings
    environment: dict[str, str]

    def headrace(self, *arguments: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        """Exit code, output and errors of the command, run in this process: each would take a second to start."""
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
        ):
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["headrace", *arguments])
            patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), out.getvalue(), err.getvalue()

    def done(self, *arguments: str, **more: str) -> str:
        code, out, err = self.headrace(*arguments, **more)
        assert code == 0, err
        return out

    def send(self, *people: dict[str, Any], **environment: str) -> None:
        lines = "\n".join(map(json.dumps, people))
        self.done("send", "person", "--topic", "people.inbound", stdin=lines, **environment)

    def received(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found

    def with_ring(self, current: str, *key_ids: str) -> "World":
        """Its processes and readers have these keys."""
        path = self.folder / f"ring-{current}-{len(key_ids)}.json"
        path.write_text(json.dumps({"current": current, "keys": {each: KEYS[each] for each in key_ids}}))
        path.chmod(0o600)
        settings = self.settings.model_copy(update={"keyring": path})
        return replace(self, settings=settings, environment={**self.environment, "HEADRACE_KEYRING": str(path)})

    @contextmanager
    def codec(self, stage: str = "reader") -> Iterator[Codec]:
        contracts = load_contracts(self.settings.schemas)
        topology = load_topology(self.settings.topology)
        with open_encryption(self.settings, topology, contracts, stage=stage) as encryption:
            yield Codec(contracts, open_registry(self.settings).all(), encryption)

    def read(self, of: str, topic: str = "people.inbound") -> list[dict[str, Any]]:
        """Payloads of one person's messages, decrypted."""
        with self.codec() as codec:
            return [
                codec.decode(message.value() or b"", message_id=dict(message.headers() or ())["ce_id"].decode())[1]  # type: ignore[union-attr]
                for message in self.received(topic)
                if message.key() == of.encode()
            ]

    @contextmanager
    def worker(self) -> Iterator[Path]:
        log = self.folder / "worker.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker"],
                cwd=self.folder, env=self.environment, stderr=stderr, stdout=stderr,
            )  # fmt: skip
        try:
            yield log
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """A broker whose files can be looked at."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def world(
    cluster: KafkaCluster,
    tmp_path: Path,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
) -> World:
    (tmp_path / "schemas").mkdir()
    schema: dict[str, Any] = {"type": "record", "name": "person", "namespace": "people", "fields": FIELDS}
    (tmp_path / "schemas" / "person.avsc").write_text(json.dumps(schema))
    contact = {**schema, "name": "contact", "fields": [FIELDS[0], {"name": "mail", "type": "string", **PII}]}
    (tmp_path / "schemas" / "contact.avsc").write_text(json.dumps(contact))
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    places = {"HEADRACE_TOPOLOGY": tmp_path / "topology.yaml", "HEADRACE_SCHEMAS": tmp_path / "schemas"}
    settings = settings_for(cluster.bootstrap_servers, HEADRACE_APP="", **places)
    made = World(tmp_path, settings, environment_of(settings)).with_ring("2026", "2025", "2026")
    made.done("topology", "apply")
    return made


def person(of: str, canary: str) -> dict[str, Any]:
    return {
        "id": of,
        "email": f"{canary}@example.org",
        "phones": [f"{canary}-1", f"{canary}-2"],
        "note": f"open-{canary}",
    }


def files_with(text: str, *folders: Path) -> list[Path]:
    """Files that hold a text, as UTF-8 bytes."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


def test_plaintext_is_in_no_file_and_after_shredding_nothing_brings_it_back(
    world: World, cluster: KafkaCluster, unique_name: Callable[[str], str]
) -> None:
    ada, canary = unique_name("ada"), unique_name("canary")
    world.send(person(ada, canary))
    # An unsigned message becomes a dead letter, whose bytes are those of the message.
    unsigned = ["send", "person", "--topic", "people.inbound", "--header", "x-message-signature=none"]
    world.done(*unsigned, stdin=json.dumps(person(ada, canary)))
    with world.worker() as log:
        await_condition(lambda: bool(world.received("headrace.router.dlq")), 60, "the dead letter")
        await_condition(lambda: len(world.read(ada, "people.all")) == 1, 60, "the routed message")
        await_condition(lambda: len(world.received("people.contacts")) == 1, 60, "the transformed message")
    assert world.read(ada, "people.contacts") == [{"id": ada, "mail": f"{canary}@example.org"}]
    check_signatures(Verifier(RING))(world.received("people.contacts")[0])  # type: ignore[arg-type]
    letter: Any = dict(world.received("headrace.router.dlq")[0].headers() or ())
    assert b"x-message-signature: expected keyid" in letter["__streams.errors.message"]
    assert files_with(f"open-{canary}", cluster.folder), "what is not tagged would have been found"
    assert files_with(f"{canary}@", cluster.folder, world.settings.state_dir, log.parent) == []
    assert files_with(f"{canary}-1", cluster.folder, world.settings.state_dir, log.parent) == []
    assert world.read(ada)[0] == person(ada, canary)
    assert world.done("keys", "shred", ada, "--dry-run") == f"would shred 1 data key of {ada}\n"
    assert world.done("keys", "shred", ada) == f"shredded 1 data key of {ada}\n"
    for topic in ("people.inbound", "people.all", "people.contacts"):
        with pytest.raises(ShreddedField, match="mail"):
            world.read(ada, topic)


def test_after_shredding_the_next_message_has_a_new_key(world: World, unique_name: Callable[[str], str]) -> None:
    bob = unique_name("bob")
    with world.codec("") as codec:
        first = codec.encode("person", person(bob, "x"), "m-1")
        world.done("keys", "shred", bob)
        kid = first.partition(b"hr1:")[2].partition(b":")[0]
        await_condition(lambda: kid not in codec.encode("person", person(bob, "x"), "m-2"), 30, "the tombstone")
        value = codec.encode("person", person(bob, "y"), "m-3")
    with world.codec() as reader:
        assert reader.decode(value, message_id="m-3")[1] == person(bob, "y")


def test_rotation_keeps_old_messages_readable_and_frees_the_old_ring_key(
    world: World, unique_name: Callable[[str], str]
) -> None:
    eve = unique_name("eve")
    before = world.with_ring("2025", "2025", "2026")
    before.send(person(eve, "first"))
    assert "would wrap" in world.done("keys", "rotate", "--dry-run")
    assert " with ring key 2026, made 1 new data key\n" in world.done("keys", "rotate", eve)
    assert world.done("keys", "rotate") == "wrapped 0 data keys with ring key 2026\n"
    after = world.with_ring("2026", "2026")
    after.send(person(eve, "second"))
    assert [each["note"] for each in after.read(eve)] == ["open-first", "open-second"]
    kids = {(message.value() or b"").partition(b"hr1:")[2][:22] for message in world.received("people.inbound")}
    assert len(kids) >= 2


def test_a_rotation_does_not_bring_back_what_is_shredded_meanwhile(
    world: World, unique_name: Callable[[str], str]
) -> None:
    zoe = unique_name("zoe")
    world.send(person(zoe, "x"))
    seen: list[int] = []

    def rotate_all_of_zoe(records: Records) -> list[Record]:
        found = [(key, value) for key, value in records.items() if key.startswith(zoe.encode())]
        seen.append(len(found))
        if len(seen) == 1:
            world.done("keys", "shred", zoe)
        return list(found)

    assert change_keys(world.settings, rotate_all_of_zoe) == []
    assert seen == [1, 0]
    assert [key for key in read_keys(world.settings) if key.startswith(zoe.encode())] == []


def test_a_key_that_another_worker_made_is_found_and_both_forget_it_when_shredded(
    world: World, unique_name: Callable[[str], str]
) -> None:
    kim = unique_name("kim")
    ring = parse_key_ring(json.dumps({"current": "2026", "keys": KEYS}), "test")
    one, other = KeyTopic(world.settings, ring), KeyTopic(world.settings, ring)
    try:
        kid = one.newest(kim)
        assert other.cipher(kid) is not None
        assert other.newest(kim) == kid
        world.done("keys", "shred", kim)
        for each in (one, other):
            await_condition(lambda each=each: each.cipher(kid) is None, 30, "the tombstone")  # type: ignore[misc]
        assert one.newest(kim) != kid
    finally:
        one.close()
        other.close()


def test_what_cannot_work_is_said_in_one_line(world: World) -> None:
    loose = world.folder / "loose.json"
    loose.write_text(json.dumps({"current": "2026", "keys": KEYS}))
    loose.chmod(0o644)
    refusals = [
        (["keys", "shred", "nobody"], {}, 1, "nobody has no data keys"),
        (["keys", "rotate", "nobody"], {}, 1, "no data keys of nobody"),
        (["keys", "rotate"], {"HEADRACE_KEYRING": ""}, 2, "keys rotate needs a key ring"),
        (["keys", "rotate"], {"HEADRACE_KEYRING": str(loose)}, 2, "0600"),
        (["send", "person", "--topic", "people.inbound"], {"HEADRACE_KEYRING": ""}, 2, "carries signed messages only"),
        (
            ["send", "person", "--topic", "people.all"],
            {"HEADRACE_KEYRING": ""},
            1,
            "email, phones, which must be encrypted",
        ),
    ]
    for arguments, environment, code, said in refusals:
        ended, _, err = world.headrace(*arguments, stdin=json.dumps(person("x", "y")), **environment)
        assert (ended, said in err) == (code, True), err
        assert err.count("\n") == 1
