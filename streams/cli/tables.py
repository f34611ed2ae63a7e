"""`headrace tables`: reads tables over HTTP, through whichever worker HEADRACE_URL names.

The bearer token is HEADRACE_TOKEN, else the first of HEADRACE_WEB_TOKENS; none is sent where neither is set.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import click

from streams.cli.asking import TIMEOUT_S, AnswerRefused, ask
from streams.cli.options import output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.errors import HeadraceError, UsageError
from streams.web.hop import WAIT_SECONDS
from streams.web.positions import MIN_POSITION, positions_of
from streams.web.refusals import Refusal

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
    headers = {} if min_position is None else {MIN_POSITION: min_position}
    # at the position's owner, and perhaps at another worker after that
    patience_s = TIMEOUT_S + (0 if min_position is None else 2 * WAIT_SECONDS)
    try:
        return ask(target, headers, patience_s)
    except AnswerRefused as refused:
        if refused.code == "no_such_table":  # the worker does not repeat what was asked of it
            raise HeadraceError(f"the topology has no table {table!r}; `headrace tables list` shows all") from None
        raise
