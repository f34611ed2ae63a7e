"""Options that many commands share; each sets the environment variable that `Settings` reads."""

import os
from collections.abc import Callable
from typing import Any

import click

Decorated = Callable[..., Any]


def _into_environment(variable: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def store(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is not None:
            os.environ[variable] = value

    return store


def location_options(command: Decorated) -> Decorated:
    """Add `--topology` and `--schemas` (HEADRACE_TOPOLOGY, HEADRACE_SCHEMAS)."""
    for flag, variable, what in (
        ("--schemas", "HEADRACE_SCHEMAS", "Folder of the contracts (*.avsc)."),
        ("--topology", "HEADRACE_TOPOLOGY", "The topology file."),
    ):
        command = click.option(
            flag, metavar="PATH", expose_value=False, callback=_into_environment(variable), help=what
        )(command)
    return command


def output_option(command: Decorated) -> Decorated:
    """Add `--output table|json`, passed to the command as `output`."""
    return click.option(
        "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
    )(command)
