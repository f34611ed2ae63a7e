"""Stages in memory behind the doors that the engine's have, workers that serve them over real HTTP."""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from jsonschema import Draft202012Validator
from yarl import URL

from streams.engine.owners import Owner, Owners
from streams.engine.partitioner import partition_of
from streams.engine.passed import Passed
from streams.engine.reads import NotServedHere, Row
from streams.engine.stage import TP, StageSpec, TableSpec
from streams.engine.status import PartitionStatus, StageStatus
from streams.web import openapi
from streams.web.access import Access
from streams.web.directory import Directory
from streams.web.letter_handlers import Desk
from streams.web.server import attach

PARTITIONS = 4
NEXT = 8  # offset of every source in every partition
ORDERS = StageSpec("orders", ("orders.commands", "orders.replayed"), (TableSpec("state", by="key"),))
ROUTER = StageSpec("router", ("orders.inbound",), (TableSpec("routes", by="source"),))
DEADLETTERS = StageSpec("deadletters", ("headrace.deadletters.redrive",), (TableSpec("letters", by="source"),))
KNOWN = (ORDERS, ROUTER)
ALL = (*KNOWN, DEADLETTERS)
VALIDATED = openapi.document("test")
Rows = dict[tuple[str, int], dict[bytes, Any]]


@dataclass
class Cluster:
    """What Kafka would know: rows of every partition, and the worker that owns each."""

    rows: dict[str, Rows] = field(default_factory=lambda: {spec.name: {} for spec in ALL})
    owners: dict[str, dict[int, str]] = field(default_factory=lambda: {spec.name: {} for spec in ALL})
    described: int = 0
    clock: Callable[[], float] = time.monotonic

    def describe(self, spec: StageSpec) -> Owners:
        """As a coordinator would; a worker's address is its name in the group, too."""
        self.described += 1
        by_partition = {p: Owner(url, url) for p, url in self.owners[spec.name].items()}
        return Owners(self.clock(), by_partition, frozenset(self.owners[spec.name].values()))

    def put(self, spec: StageSpec, partition: int, key: bytes, value: Any) -> None:
        self.rows[spec.name].setdefault((spec.tables[0].name, partition), {})[key] = value

    def put_by_key(self, spec: StageSpec, key: bytes, value: Any) -> None:
        self.put(spec, partition_of(key, PARTITIONS), key, value)


@dataclass
class MemoryReads:
    """Committed reads of a stage in one worker."""

    spec: StageSpec
    cluster: Cluster
    stage: "MemoryStage"

    @property
    def lease_holds(self) -> bool:
        return self.stage.lease_holds

    @property
    def member_id(self) -> str:
        return self.stage.url

    def partition_of(self, key: bytes) -> int:
        return partition_of(key, PARTITIONS)

    def tenures(self) -> dict[int, int]:
        return dict.fromkeys(self.stage.partitions, self.stage.tenure)

    async def wait_passed(self, positions: Mapping[TP, int], timeout_s: float) -> bool:
        return await self.stage.passed.wait(positions, timeout_s)

    def get(self, table: str, partition: int, key: bytes) -> Row | None:
        rows = self._rows(table, partition)
        return Row(key, rows[key], self._position(partition)) if key in rows else None

    def scan(
        self, table: str, partition: int, *, prefix: bytes = b"", after: bytes | None = None, limit: int = 100
    ) -> list[Row]:
        rows = self._rows(table, partition)
        keys = sorted(k for k in rows if k.startswith(prefix) and (after is None or k > after))
        return [Row(key, rows[key], self._position(partition)) for key in keys[:limit]]

    async def owners(self) -> Owners:
        return self.cluster.describe(self.spec)

    def _rows(self, table: str, partition: int) -> dict[bytes, Any]:
        if partition not in self.stage.partitions:
            raise NotServedHere(f"partition {partition} is not here")
        rows = dict(self.cluster.rows[self.spec.name].get((table, partition), {}))
        self.stage.on_read()
        return rows

    def _position(self, partition: int) -> str:
        lead = TP(self.spec.lead, partition)
        return f"{lead}={self.stage.passed.last(lead)}"


@dataclass
class MemoryStage:
    """A stage as it runs in one worker."""

    spec: StageSpec
    cluster: Cluster
    partitions: set[int] = field(default_factory=set)
    state: Any = "running"
    reason: str = ""
    partition_states: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    url: str = ""
    lease_holds: bool = True
    tenure: int = 1
    passed: Passed = field(default_factory=Passed)
    on_read: Callable[[], None] = lambda: None

    def reads(self) -> MemoryReads:
        return MemoryReads(self.spec, self.cluster, self)

    def status(self) -> StageStatus:
        shown = dict.fromkeys(self.partitions, ("running", 0, 0)) | self.partition_states
        return StageStatus(
            name=self.spec.name,
            group=self.spec.group,
            state=self.state,
            reason=self.reason,
            instance="w",
            partitions=tuple(
                PartitionStatus(self.spec.lead, p, state, 5, restored, target)
                for p, (state, restored, target) in sorted(shown.items())
            ),
            tables=self.spec.tables,
            counters={"records": 12.0},
        )


@dataclass
class Worker:
    """A worker's web server."""

    url: str
    stages: dict[str, MemoryStage]
    requests: list[web.Request]


@dataclass
class Reply:
    """An answer, found to be as the OpenAPI document says."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@asynccontextmanager
async def workers(
    cluster: Cluster,
    *shares: Mapping[str, Iterable[int]],
    roles: Mapping[str, str] | None = None,
    answer: Callable[[web.Request], Any] | None = None,
    known: Sequence[StageSpec] = KNOWN,
    desk: Desk | None = None,
) -> AsyncIterator[list[Worker]]:
    """Workers with their `shares` (stage -> partitions they own), over real HTTP on free ports.

    `answer`, when given, is asked first on every worker but the first one, and may hang or answer nonsense.
    """
    started: list[Worker] = []
    servers: list[TestServer] = []
    try:
        for share in shares:
            app = web.Application(middlewares=[_first(answer)] if answer and started else [])
            server = TestServer(app)
            servers.append(server)
            url = _reserve(server)
            stages = {s.name: MemoryStage(s, cluster, set(share[s.name]), url=url) for s in known if s.name in share}
            for stage in stages.values():
                stage.passed.advance({TP(t, p): NEXT for t in stage.spec.sources for p in range(PARTITIONS)})
            worker = Worker(url, stages, [])
            _serve(app, worker, cluster, roles or {}, known, desk)
            await server.start_server()
            started.append(worker)
            for name, partitions in share.items():
                cluster.owners[name].update(dict.fromkeys(partitions, url))
        yield started
    finally:
        for server in servers:
            await server.close()


def _reserve(server: TestServer) -> str:
    """Bind now, for the server must know its address before it starts."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server.port = listening.getsockname()[1]
    server.socket_factory = lambda *_args: listening
    return f"http://127.0.0.1:{server.port}"


def _first(answer: Callable[[web.Request], Any]) -> Any:
    @web.middleware
    async def first(request: web.Request, handler: Any) -> web.StreamResponse:
        given: web.StreamResponse = await answer(request) or await handler(request)
        return given

    return first


def _serve(
    app: web.Application,
    worker: Worker,
    cluster: Cluster,
    roles: Mapping[str, str],
    known: Sequence[StageSpec],
    desk: Desk | None,
) -> None:
    async def find_owners(spec: StageSpec) -> Owners:
        return cluster.describe(spec)

    async def count_partitions(_topic: str) -> int:
        return PARTITIONS

    def now() -> float:
        return cluster.clock()  # which a test may have changed since

    attach(
        app,
        list(worker.stages.values()),
        known,
        directory=Directory(find_owners, count_partitions, now),
        access=Access(roles, "127.0.0.1"),
        own_url=worker.url,
        desk=desk,
    )

    async def record(request: web.Request, _response: web.StreamResponse) -> None:
        worker.requests.append(request)

    app.on_response_prepare.append(record)


async def get(url: str, headers: Mapping[str, str] | None = None) -> Reply:
    """GET, and check the answer against the document."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as response,
    ):
        reply = Reply(response.status, response.headers, await response.text())
    _validate("get", URL(url, encoded=True).raw_path, reply)
    return reply


async def post(url: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """POST of JSON, or of a form where `body` is text; an answer of JSON is checked against the document."""
    sent: Any = {"data": body, "headers": {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}}
    if not isinstance(body, str):
        sent = {"json": body, "headers": headers}
    async with aiohttp.ClientSession() as session, session.post(URL(url, encoded=True), **sent) as response:
        reply = Reply(response.status, response.headers, await response.text())
    if not isinstance(body, str):
        _validate("post", URL(url, encoded=True).raw_path, reply)
    return reply


def _validate(method: str, path: str, reply: Reply) -> None:
    template = _template(path)
    if template is None:
        assert reply.status == 404
        schema: Any = {"$ref": "#/components/schemas/Error"}
    else:
        responses = VALIDATED["paths"][template][method]["responses"]
        assert str(reply.status) in responses, (path, reply.status, reply.text)
        ((kind, content),) = responses[str(reply.status)]["content"].items()
        assert reply.headers["Content-Type"].startswith(kind)
        schema = content["schema"]
        if kind != "application/json":
            return
    Draft202012Validator({**schema, "components": VALIDATED["components"]}).validate(reply.json)
    assert ("Retry-After" in reply.headers) == (reply.status == 503)


def _template(path: str) -> str | None:
    if path in VALIDATED["paths"]:
        return path
    for letters in ("/api/deadletters/", "/deadletters/"):
        if path.startswith(letters) and "/" not in path.removeprefix(letters):
            return letters + "{id}"
    parts: Sequence[str] = path.split("/", 4)
    if parts[:3] != ["", "api", "tables"] or not all(parts[3:]):
        return None
    return {4: "/api/tables/{table}", 5: "/api/tables/{table}/{key}"}.get(len(parts))
