"""The HTTP registry, against a small server that answers as Confluent's interface does (and checks nothing)."""

import hashlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from streams.errors import ConfigurationRefused, FindingsFound, HeadraceError, NotReachable
from streams.messages import http_registry
from streams.messages.contracts import Contract, contract_from
from streams.messages.http_registry import HttpRegistry


@dataclass
class Subjects:
    """What the server holds: schemas by subject, in order of their versions; ids in order of registration."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    ids: list[tuple[str, str]] = field(default_factory=list)
    guids: dict[str, str] = field(default_factory=dict)  # schemas that only a look-up finds
    before_next: list[Callable[[], object]] = field(default_factory=list)  # done before a registration is looked at
    refuses: int | None = None

    def add(self, subject: str, text: str) -> int:
        self.texts.setdefault(subject, []).append(text)
        self.ids.append((subject, text))
        return len(self.ids)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, object]:
        parts = path.split("?", maxsplit=1)[0].strip("/").split("/")
        if parts == ["subjects"]:
            return 200, list(self.texts)
        if parts[:2] == ["schemas", "guids"] and parts[2] in self.guids:
            return 200, {"schema": self.guids[parts[2]]}
        if method == "DELETE":
            return 200, self.texts[parts[1]].pop(int(parts[3]) - 1)
        return self.registered(parts[1], body) if method == "POST" else self.version(parts)

    def registered(self, subject: str, body: dict[str, Any]) -> tuple[int, object]:
        while self.before_next:
            self.before_next.pop()()
        if self.refuses:
            return self.refuses, {"error_code": self.refuses, "message": "no"}
        return 200, {"id": self.add(subject, body["schema"])}

    def version(self, parts: list[str]) -> tuple[int, object]:
        versions = self.texts.get(parts[1], [])
        if not versions:
            return 404, {"error_code": 40401, "message": "Subject not found."}
        if parts[2:] == ["versions"]:
            return 200, list(range(1, len(versions) + 1))
        version = int(parts[3])
        text = versions[version - 1]
        schema_id = self.ids.index((parts[1], text)) + 1
        return 200, {"subject": parts[1], "version": version, "id": schema_id, "schema": text}


@pytest.fixture
def subjects() -> Subjects:
    return Subjects()


@pytest.fixture
def url(subjects: Subjects) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, answer = subjects.answer(self.command, self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = reply  # noqa: N815 names of http.server

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def contract(name: str, *more: dict[str, Any]) -> Contract:
    fields = [{"name": "order_id", "type": "string"}, *more]
    return contract_from({"type": "record", "name": name, "namespace": "shop", "fields": fields})


NOTE = {"name": "note", "type": ["null", "string"], "default": None}


def test_a_contract_is_registered_under_its_full_name_and_keeps_its_id(url: str) -> None:
    registry = HttpRegistry(url)
    first = registry.register(contract("order"))
    second = registry.register(contract("order", NOTE))
    assert (first.subject, first.version, second.version) == ("shop.order", 1, 2)
    assert registry.register(contract("order")) == first
    assert registry.all() == [first, second]
    assert registry.by_id(second.id) == second
    assert registry.by_id(99) is None
    registry.close()


def test_an_incompatible_version_is_refused_even_if_the_registry_would_take_it(url: str, subjects: Subjects) -> None:
    registry = HttpRegistry(url)
    registry.register(contract("order"))
    with pytest.raises(FindingsFound, match=r"order\.total: new field without a default"):
        registry.register(contract("order", {"name": "total", "type": "int"}))
    assert len(subjects.texts["shop.order"]) == 1


def test_what_is_not_ours_is_passed_over(url: str, subjects: Subjects) -> None:
    subjects.add("orders-value", json.dumps(contract("order").schema))
    subjects.add("shop.other", "syntax = 'proto3';")
    assert HttpRegistry(url).all() == []


def test_a_registry_that_is_not_there_is_not_reachable(free_port: Any) -> None:
    with pytest.raises(NotReachable, match="no registry at"):
        HttpRegistry(f"http://127.0.0.1:{free_port()}").all()


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationRefused, match="SCHEMA_REGISTRY_URL"):
        HttpRegistry("registry")


def test_a_server_that_is_no_registry_is_said_so(url: str) -> None:
    with pytest.raises(HeadraceError, match="not found"):
        HttpRegistry(url + "/elsewhere/").all()


TOTAL = {"name": "total", "type": "int"}
INCOMPATIBLE = r"order\.total: new field without a default.*\(version 2\)"


def test_a_version_registered_in_between_is_told_by_field_where_the_registry_refuses(
    url: str, subjects: Subjects
) -> None:
    """The registry answers 409, which names no field of ours; what was registered meanwhile is read again."""
    registry = HttpRegistry(url)
    registry.register(contract("order", TOTAL))
    subjects.refuses = 409
    other = json.dumps(contract("order", NOTE).schema)
    subjects.before_next.append(lambda: subjects.add("shop.order", other))
    with pytest.raises(FindingsFound, match=INCOMPATIBLE):
        registry.register(contract("order", TOTAL, NOTE))


def test_a_version_registered_in_between_is_told_by_field_where_the_registry_takes_anything(
    url: str, subjects: Subjects
) -> None:
    registry = HttpRegistry(url)
    registry.register(contract("order", TOTAL))
    other = json.dumps(contract("order", NOTE).schema)
    subjects.before_next.append(lambda: subjects.add("shop.order", other))
    with pytest.raises(FindingsFound, match=INCOMPATIBLE):
        registry.register(contract("order", TOTAL, NOTE))
    assert len(subjects.texts["shop.order"]) == 2


def test_a_refusal_that_only_the_registry_understands_is_told_in_its_words(url: str, subjects: Subjects) -> None:
    subjects.refuses = 409
    with pytest.raises(FindingsFound, match=r"order: registry .* refuses it: no"):
        HttpRegistry(url).register(contract("order"))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_cannot_answer_now_is_not_reachable(url: str, subjects: Subjects, status: int) -> None:
    subjects.refuses = status
    with pytest.raises(NotReachable, match=str(status)):
        HttpRegistry(url).register(contract("order"))


def test_a_guid_is_that_of_the_schemas_text_or_looked_up(url: str, subjects: Subjects) -> None:
    registry = HttpRegistry(url)
    order = registry.register(contract("order"))
    assert registry.by_guid(hashlib.md5(subjects.texts["shop.order"][0].encode()).digest()) == order  # noqa: S324
    guid = uuid.uuid4()
    assert registry.by_guid(guid.bytes) is None
    subjects.guids[str(guid)] = subjects.texts["shop.order"][0]
    assert registry.by_guid(guid.bytes) == order


def test_a_registry_that_is_silent_costs_a_command_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_registry, "_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = HttpRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(NotReachable, match="no registry at"):
            registry.all()
        assert time.monotonic() - started < 10 * http_registry._TIMEOUT_S
