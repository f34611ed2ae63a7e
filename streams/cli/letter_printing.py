"""Prints one dead letter for people, or as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import click

_APART = ("headers", "payload", "value", "stacktrace", "refusal", "contract")


def print_letter(letter: Mapping[str, Any], output: str) -> None:
    """Print what the index says, then payload, headers and stack trace."""
    if output == "json":
        click.echo(json.dumps(letter, indent=2))
        return
    named = {name: value for name, value in letter.items() if name not in _APART and value not in {None, ""}}
    width = max(map(len, named))
    for name, value in named.items():
        click.echo(f"{name.replace('_', ' ').ljust(width)}  {value}")
    click.echo(f"\npayload {letter['contract'] or ''}".rstrip())
    click.echo(letter["refusal"] or json.dumps(letter["payload"], indent=2, ensure_ascii=False))
    if letter["refusal"] and letter["value"]:
        click.echo(f"value in base64: {letter['value']}")
    click.echo("\nheaders")
    for header in letter["headers"]:
        if header["name"] != "__streams.errors.stacktrace":
            click.echo(f"{header['name']}: {header['value']}")
    click.echo(f"\nstack trace\n{letter['stacktrace'].rstrip()}")
