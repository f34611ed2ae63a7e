"""`headrace tables`: reads tables over HTTP, through whichever worker HEADRACE_URL names.

The bearer token is HEADRACE_TOKEN, else the first of HEADRACE_WEB_TOKENS; none is sent where neither is set.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click

from streams.cli.options import output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.errors import HeadraceError, NotReachable, UsageError
from streams.web.hop import WAIT_SECONDS
from streams.web.positions import MIN_POSITION, positions_of
from streams.web.refusals import Refusal

TIMEOUT_S = 10.0  # a worker takes 2 s to ask Kafka and 2 s to ask another worker at most
ROWS_A_PAGE = 1000
ROW_COLUMNS = ("key", "value", "position")


def _checked(_ctx: click.Context, _param: click.Parameter, positions: str | None) -> str | None:
    if positions is not None:
        try:
            positions_of([positions])
        except Refusal:
            raise UsageError("--min-position: expected topic/partition=offset, several separated by commas") from None
    return positions


min_position_option = click.option(
    "--min-position",
    metavar="P",
    callback=_checked,
    help="Wait until the table reflects the record at topic/partition=offset.",
)


@click.group(cls=Suggesting)
def tables() -> None:
    """Read tables through a running worker (HEADRACE_URL)."""


@tables.command("list")
@output_option
def list_tables(output: str) -> None:
    """List all tables of the topology."""
    print_rows(_ask("/api/tables")["items"], ("name", "stage", "table", "by"), output)


@tables.command(short_help="Show the row of KEY in TABLE (<stage>.<table>).")
@click.argument("table")
@click.argument("key")
@min_position_option
@output_option
def get(table: str, key: str, min_position: str | None, output: str) -> None:
    """Show the row of KEY in TABLE (<stage>.<table>); exit 1 when there is none."""
    row = _ask(f"/api/tables/{quote(table, safe='')}/{quote(key, safe='')}", table, min_position)
    if output == "json":
        click.echo(json.dumps(row, indent=2))
    else:
        print_rows([row], ROW_COLUMNS, output)


@tables.command()
@click.argument("table")
@click.option("--prefix", default="", help="Only keys that begin so.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Rows at most.")
@min_position_option
@output_option
def scan(table: str, prefix: str, limit: int, min_position: str | None, output: str) -> None:
    """Show rows of TABLE (<stage>.<table>) in key order."""
    rows, more = _rows(table, prefix, limit, min_position)
    print_rows(rows, ROW_COLUMNS, output)
    if more:
        click.echo(f"there are more rows; raise --limit (now {limit}) or narrow with --prefix", err=True)


def _rows(table: str, prefix: str, limit: int, min_position: str | None) -> tuple[list[Mapping[str, Any]], bool]:
    """Up to `limit` rows, page after page, and whether there are more."""
    asked = {"prefix": prefix} if prefix else {}
    rows: list[Mapping[str, Any]] = []
    while len(rows) < limit:
        wanted = min(limit - len(rows), ROWS_A_PAGE)
        target = f"/api/tables/{quote(table, safe='')}?{urlencode({**asked, 'limit': wanted})}"
        page = _ask(target, table, min_position)
        rows += page["items"]
        if page["next"] is None:
            return rows[:limit], len(rows) > limit
        asked["after"] = page["next"]
    return rows[:limit], True


def _ask(target: str, table: str = "", min_position: str | None = None) -> Any:
    """JSON answer of the worker to a question about `table`, once that has passed `min_position`.

    Raises:
        NotReachable: nobody answers at HEADRACE_URL, or not in time, or it cannot answer now.
        HeadraceError: the worker refused; its message says why.
    """
    settings = Settings()
    token = settings.bearer_token()
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    url = settings.worker_url()
    patience = TIMEOUT_S
    if min_position is not None:
        headers[MIN_POSITION] = min_position
        patience += 2 * WAIT_SECONDS  # at the position's owner, and perhaps at another worker after that
    connection, base = _connection(url, patience)
    try:
        connection.request("GET", base + target, headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReachable(
            f"no worker answers at {url} ({str(error) or 'no answer in time'}); set HEADRACE_URL"
        ) from error
    finally:
        connection.close()
    return _answer(url, table, status, body)


def _connection(url: str, patience: float) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise UsageError(f"HEADRACE_URL: expected http://host:port, got {url}")
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"HEADRACE_URL: expected a port from 1 to 65535, got {url}") from None
    return kinds[parts.scheme](parts.hostname, port, timeout=patience), parts.path.rstrip("/")


def _answer(url: str, table: str, status: int, body: bytes) -> Any:
    try:
        answer = json.loads(body)
        if status == http.client.OK:
            return answer
        code, message = answer["error"]["code"], answer["error"]["message"]
    except (ValueError, TypeError, KeyError):
        raise HeadraceError(f"{url} is no Headrace worker: it answered {status} without our JSON") from None
    if status == http.client.SERVICE_UNAVAILABLE:
        raise NotReachable(f"{message}; try again")
    if status == http.client.UNAUTHORIZED:
        raise HeadraceError(f"{message}; set HEADRACE_TOKEN")
    if code == "no_such_table":  # the worker does not repeat what was asked of it
        raise HeadraceError(f"the topology has no table {table!r}; `headrace tables list` shows all")
    raise HeadraceError(message)
