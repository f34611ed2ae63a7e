"""Prints rows as an aligned table or as JSON: what `--output table|json` of every read command does."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: str) -> None:
    """Print `rows`: JSON objects with all their keys, or a table of `columns` with their names as header."""
    if output == "json":
        click.echo(json.dumps([dict(row) for row in rows], indent=2, default=str))
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    header = [column.replace("_", " ") for column in columns]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for line in [header, *cells]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, default=str)
