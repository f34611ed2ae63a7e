"""Gathers what the page for people shows; a part that cannot be had is shown as such, the rest stands."""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from streams.web.bodies import StageList
from streams.web.handlers import list_body, table_body, value_body
from streams.web.hop import Asked
from streams.web.html import CONTENT_SECURITY_POLICY, Lookup, PageView, TableView, render
from streams.web.overview import Overview
from streams.web.parameters import Scan, key_of, query
from streams.web.refusals import Refusal
from streams.web.stages import TableOfStage
from streams.web.table_reader import TableReader

ROWS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class FrontPage:
    """The handler of `/`.

    Args:
        own_url: this worker's advertised address.
        tables: all of the topology, by full name.
        overview: the stages of all workers.
        reader: the rows of all workers.
    """

    own_url: str
    tables: dict[str, TableOfStage]
    overview: Overview
    reader: TableReader

    async def show(self, request: web.Request) -> web.Response:
        """Answer `/`, and `/?table=&key=` of its form."""
        form = query(request.rel_url.raw_query_string, ("table", "key"))
        authorization = request.headers.get("Authorization")
        stages, lookup, tables = await asyncio.gather(
            self._stages(authorization),
            self._look_up(form, authorization),
            asyncio.gather(*(self._first_rows(table, authorization) for table in self.tables.values())),
        )
        text = render(PageView(self.own_url, tuple(stages.items), tuple(tables), lookup))
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _stages(self, authorization: str | None) -> StageList:
        return await self.overview.stages(Asked("/api/stages", authorization=authorization))

    async def _look_up(self, form: dict[str, str], authorization: str | None) -> Lookup | None:
        name, key = form.get("table", ""), form.get("key", "")
        if not key:
            return None
        if name not in self.tables:
            return Lookup(name, key, refusal="the topology has no such table")
        target = f"/api/tables/{quote(name, safe='')}/{quote(key, safe='')}"
        try:
            row = await self.reader.get(self.tables[name], key_of(key), Asked(target, authorization=authorization))
        except Refusal as refusal:
            return Lookup(name, key, refusal=str(refusal))
        return Lookup(name, key, value=value_body(row))

    async def _first_rows(self, table: TableOfStage, authorization: str | None) -> TableView:
        target = f"/api/tables/{quote(table.name, safe='')}?limit={ROWS_SHOWN}"
        try:
            page = await self.reader.scan(table, Scan(limit=ROWS_SHOWN), Asked(target, authorization=authorization))
        except Refusal as refusal:
            return TableView(table_body(table), None, str(refusal))
        return TableView(table_body(table), list_body(page))
