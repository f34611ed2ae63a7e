"""The paths of the HTTP API and what answers them; knows aiohttp and nothing of Faust or Kafka.

docs/reference/http.md describes them for callers, `openapi.py` for programs.
"""

from dataclasses import dataclass, replace
from importlib.metadata import version

import orjson
from aiohttp import web
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from streams.messages.key_text import text_of
from streams.telemetry import metrics
from streams.web import openapi
from streams.web.answers import OK
from streams.web.bodies import Body, Liveness, Table, TableList, Value, ValueList
from streams.web.hop import FORWARDED, PARTITIONS, Asked
from streams.web.overview import Overview
from streams.web.paging import Keyed, Page
from streams.web.parameters import key_of, partitions_of, query, scan_of, table_and_key
from streams.web.positions import MIN_POSITION, positions_of
from streams.web.readiness import readiness_of
from streams.web.refusals import RETRY_AFTER_SECONDS, Refusal
from streams.web.stages import ServedStage, TableOfStage
from streams.web.table_reader import TableReader

UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method a path.

    Args:
        stages: those that run in this process.
        tables: all of the topology, by full name.
        overview: the stages of all workers.
        reader: the rows of all workers.
    """

    stages: tuple[ServedStage, ...]
    tables: dict[str, TableOfStage]
    overview: Overview
    reader: TableReader

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all paths."""
        for path, handler in (
            ("/livez", self.livez),
            ("/readyz", self.readyz),
            ("/metrics", self.metrics),
            ("/api/openapi.json", self.openapi),
            ("/api/stages", self.list_stages),
            ("/api/tables", self.list_tables),
            ("/api/tables/{table:[^/]+}", self.scan_table),
            ("/api/tables/{table:[^/]+}/{key:.+}", self.get_row),
        ):
            router.add_get(path, handler)

    async def list_stages(self, request: web.Request) -> web.Response:
        """All stages and the workers that run them."""
        return json_response(await self.overview.stages(_asked(request)))

    async def list_tables(self, _request: web.Request) -> web.Response:
        """All tables of the topology."""
        return json_response(TableList(items=[table_body(each) for each in self.tables.values()], next=None))

    async def scan_table(self, request: web.Request) -> web.Response:
        """Rows of a table in key order."""
        name, _key = table_and_key(request.rel_url.raw_path)
        scan = scan_of(request.rel_url.raw_query_string)
        page = await self.reader.scan(self._table(name), scan, _asked_of_table(request))
        return json_response(list_body(page))

    async def get_row(self, request: web.Request) -> web.Response:
        """One row of a table."""
        name, key = table_and_key(request.rel_url.raw_path)
        table = self._table(name)
        query(request.rel_url.raw_query_string, ())
        return json_response(value_body(await self.reader.get(table, key_of(key), _asked_of_table(request))))

    async def livez(self, _request: web.Request) -> web.Response:
        """Whether the process lives: it answers, and no stage has failed."""
        live = all(stage.status().state != "failed" for stage in self.stages)
        return json_response(Liveness(live=live), OK if live else UNAVAILABLE)

    async def readyz(self, _request: web.Request) -> web.Response:
        """Whether every stage of this worker runs with its tables restored."""
        body = readiness_of([stage.status() for stage in self.stages])
        return json_response(body, OK if body.ready else UNAVAILABLE)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus metrics of this process."""
        for stage in self.stages:
            status = stage.status()
            metrics.show_stage_state(status.name, status.state)
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def openapi(self, _request: web.Request) -> web.Response:
        """The OpenAPI document."""
        return web.Response(body=orjson.dumps(openapi.document(version("headrace"))), content_type="application/json")

    def _table(self, name: str) -> TableOfStage:
        if name not in self.tables:
            raise Refusal(404, "no_such_table", "the topology has no such table; GET /api/tables lists them")
        return self.tables[name]


def json_response(body: Body, status: int = OK) -> web.Response:
    """Response with a JSON body; a 503 says when to come again."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == UNAVAILABLE else None
    return web.Response(body=body.encode(), status=status, content_type="application/json", headers=headers)


def table_body(table: TableOfStage) -> Table:
    """Body of a table's description."""
    return Table(name=table.name, stage=table.spec.name, table=table.table.name, by=table.table.by)


def value_body(row: Keyed) -> Value:
    """Body of a row."""
    return Value(key=text_of(row.key), value=row.value, position=row.position)


def list_body(page: Page) -> ValueList:
    """Body of a page of rows."""
    after = page.next
    return ValueList(items=list(map(value_body, page.rows)), next=None if after is None else text_of(after))


def _asked(request: web.Request) -> Asked:
    forwarded = FORWARDED in request.headers
    partitions = request.headers.get(PARTITIONS) if forwarded else None
    query_string = request.rel_url.raw_query_string
    return Asked(
        target=request.rel_url.raw_path + (f"?{query_string}" if query_string else ""),
        forwarded=forwarded,
        partitions=None if partitions is None else partitions_of(partitions),
        authorization=request.headers.get("Authorization"),
    )


def _asked_of_table(request: web.Request) -> Asked:
    return replace(_asked(request), positions=positions_of(request.headers.getall(MIN_POSITION, ())))
