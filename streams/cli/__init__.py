"""The `headrace` command: one module a noun, loaded only when it is asked for."""

import importlib
import sys

import click
from pydantic import ValidationError

from streams.cli.options import location_options
from streams.cli.suggesting import Suggesting
from streams.errors import HeadraceError

# Noun -> module; each module has a click command or group of that name (with "_" for "-").
NOUNS = {
    "demo": "100,000 messages, a killed worker, and a recount.",
    "dlq": "List, show, group, redrive and discard dead letters.",
    "dev": "A local Kafka broker to work with.",
    "replay": "Set a stage's offsets back or forth.",
    "keys": "Rotate and shred the keys of tagged fields.",
    "schema": "Check, register and list contracts.",
    "send": "Send JSON lines as Avro messages.",
    "tables": "Read tables through a running worker.",
    "topology": "Check topology.yaml and bring it to the cluster.",
    "transform": "Show how messages of one format become those of another.",
    "worker": "Run stages.",
}


class Nouns(Suggesting):
    """Imports a noun's module when it is used: `headrace --help` stays fast and imports no Kafka client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all nouns, for `--help`."""
        del ctx
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Command of one noun, or None when there is no such noun."""
        del ctx
        if cmd_name not in NOUNS:
            return None
        command: click.Command = getattr(importlib.import_module(f"streams.cli.{cmd_name}"), cmd_name)
        command.short_help = NOUNS[cmd_name]
        return command


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headrace")
@location_options
def headrace() -> None:
    """Headrace: routing, event sourcing and sagas on Apache Kafka, each step exactly once."""


def main() -> None:
    """Entry point: errors are one line each on stderr; exit 2 usage, 1 failed or findings, 3 not reachable."""
    try:
        sys.exit(headrace.main(prog_name="headrace", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"headrace: {_usage(error)}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"]))
            click.echo(f"{name}: {problem.get('ctx', {}).get('error', problem['msg'])}", err=True)
        sys.exit(2)
    except HeadraceError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


def _usage(error: click.ClickException) -> str:
    """What is wrong with the call, in one line, and where the help for it is."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see `{context.command_path if context else 'headrace'} --help`)"
