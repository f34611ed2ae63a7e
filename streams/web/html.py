"""The page for people: stages and tables of all workers, as HTML without scripts. Pure.

Whatever comes from outside (keys, values, names, messages) is escaped here and nowhere else.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from streams.web.bodies import Partition, Stage, Table, Value, ValueList, Worker
from streams.web.style import CSS

# Nothing but our own style may load or run, and only our own form may be sent.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()}'"
)
SHOWN_VALUE_CHARACTERS = 240
NOTHING = "-"
LINKS = (
    '<a href="/deadletters">dead letters</a> · <a href="/api/openapi.json">API</a> · <a href="/metrics">metrics</a> · '
    '<a href="/readyz">ready?</a>'
)


@dataclass(frozen=True, slots=True)
class TableView:
    """A table's first rows, or why they are not to be had."""

    table: Table
    rows: ValueList | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the form asked for, and what was found."""

    table: str
    key: str
    value: Value | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """All that the page shows."""

    worker: str
    stages: tuple[Stage, ...]
    tables: tuple[TableView, ...]
    lookup: Lookup | None = None


def render(view: PageView) -> str:
    """HTML of the whole page."""
    stages = "".join(map(_stage, view.stages)) or "<p>The topology has no stages.</p>"
    tables = "".join(map(_table, view.tables)) or "<p>No stage has a table.</p>"
    return frame(
        "Headrace",
        f"as seen by {escape(view.worker)} · {LINKS}",
        f"<h2>Stages</h2>{stages}<h2>Look up a row</h2>{_form(view)}<h2>Tables</h2>{tables}",
    )


def frame(title: str, subtitle: str, content: str) -> str:
    """A whole page around its content, all of it HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{CSS}</style></head><body>"
        f"<header><h1>{title}</h1><p>{subtitle}</p></header><main>{content}</main></body></html>"
    )


def _stage(stage: Stage) -> str:
    workers = "".join(map(_worker, stage.workers)) or '<p class="quiet">No worker owns a partition of it.</p>'
    return (
        f"<section><h3>{escape(stage.name)} {_state(stage.state)}</h3>"
        f'<p class="quiet">reads {escape(", ".join(stage.sources))} as group {escape(stage.group)}'
        f"{_total_lag(stage)}</p>{workers}</section>"
    )


def _total_lag(stage: Stage) -> str:
    lags = [each.lag for worker in stage.workers for each in worker.partitions]
    if not lags or None in lags:
        return ""
    return f" · {_number(sum(lag for lag in lags if lag is not None))} records behind"


def _worker(worker: Worker) -> str:
    reason = f' <span class="quiet">{escape(worker.reason)}</span>' if worker.reason else ""
    counters = " · ".join(
        f"{escape(name.replace('_', ' '))} {_number(value)}" for name, value in sorted(worker.counters.items())
    )
    rows = [
        (escape(f"{each.topic}/{each.partition}"), _state(each.state), _lag(each), _restore(each))
        for each in worker.partitions
    ]
    return (
        f"<h4>{escape(worker.instance or worker.url)} {_state(worker.state)}{reason}</h4>"
        f'<p class="quiet">{escape(worker.url)}{" · " + counters if counters else ""}</p>'
        + (grid(("partition", "state", "behind", "restored"), rows) if rows else "")
    )


def _lag(partition: Partition) -> str:
    return NOTHING if partition.lag is None else _number(partition.lag)


def _restore(partition: Partition) -> str:
    if not partition.restore_target:
        return NOTHING
    share = min(100, 100 * partition.restored // partition.restore_target)
    done = f"{_number(partition.restored)} of {_number(partition.restore_target)}"
    return f'<progress max="100" value="{share}"></progress> {done}'


def _form(view: PageView) -> str:
    chosen = view.lookup
    options = "".join(
        f"<option{' selected' if chosen and chosen.table == name else ''}>{escape(name)}</option>"
        for name in (each.table.name for each in view.tables)
    )
    key = escape(chosen.key) if chosen else ""
    return (
        f'<form action="/" method="get"><label>Table <select name="table">{options}</select></label>'
        f'<label>Key <input name="key" value="{key}" required maxlength="2048"></label>'
        f"<button>Look up</button></form>{_found(chosen) if chosen else ''}"
    )


def _found(lookup: Lookup) -> str:
    if lookup.value is None:
        return f'<p class="refusal" role="status">{escape(lookup.refusal)}</p>'
    return f'<div role="status">{_rows([lookup.value], whole=True)}</div>'


def _table(view: TableView) -> str:
    name = escape(view.table.name)
    path = escape("/api/tables/" + quote(view.table.name, safe=""))
    heading = f'<h3>{name} <span class="quiet">by {view.table.by}</span></h3>'
    if view.rows is None:
        return f'<section>{heading}<p class="refusal">{escape(view.refusal)}</p></section>'
    more = "first rows; " if view.rows.next is not None else ""
    rows = _rows(view.rows.items) if view.rows.items else '<p class="quiet">No rows yet.</p>'
    return f'<section>{heading}{rows}<p class="quiet">{more}<a href="{path}">as JSON</a></p></section>'


def _rows(values: Iterable[Value], *, whole: bool = False) -> str:
    return grid(
        ("key", "value", "position"),
        [(code(each.key), code(_shown(each.value, whole=whole)), code(each.position)) for each in values],
    )


def _shown(value: object, *, whole: bool) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2 if whole else None)
    return text if whole or len(text) <= SHOWN_VALUE_CHARACTERS else text[:SHOWN_VALUE_CHARACTERS] + " …"


def grid(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML."""
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="grid"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def code(text: str) -> str:
    """Text as it is."""
    return f"<code>{escape(text)}</code>"


def _state(state: str) -> str:
    known = state if state in {"running", "failed", "unreachable", "paused", "stopped", "unknown"} else "moving"
    return f'<span class="state {known}">{escape(state)}</span>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
