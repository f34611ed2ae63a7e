"""`headrace dev up|down|status`: a Kafka of one's own, without knowing how it is run."""

import json
from dataclasses import asdict

import click

from streams.cli.options import output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.dev import local
from streams.errors import NotReachable


@click.group(cls=Suggesting)
def dev() -> None:
    """Run a Kafka broker on this machine, in Docker if an engine answers, else as Java processes."""


@dev.command(short_help="Start it; every other command then finds it.")
@click.option(
    "--brokers",
    type=click.Choice(["1", "3"]),
    help="How many (three: replication 3)  [default: what runs, else 1]",
)
def up(brokers: str | None) -> None:
    """Start it, if it does not run yet; every other command then finds it by itself."""
    given = Settings().kafka_bootstrap_servers
    if given:
        click.echo(f"nothing to start: KAFKA_BOOTSTRAP_SERVERS is {given}, cluster {local.check_given(given)}")
        return
    record = local.up(int(brokers) if brokers else None, click.echo)
    click.echo(f"Kafka is up at {record.bootstrap_servers} (cluster {record.cluster_id}, data in {record.folder})")


@dev.command()
@click.option("--wipe", is_flag=True, help="Delete its data too.")
def down(*, wipe: bool) -> None:
    """Stop it; its data stays for the next `up`."""
    local.down(click.echo, wipe=wipe)


@dev.command()
@output_option
def status(output: str) -> None:
    """Show whether it runs and where; exit 3 if it does not answer."""
    found = local.status()
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    elif found.brokers:
        click.echo(f"{found.state}: cluster {found.cluster_id}, data in {found.folder}")
        print_rows([asdict(broker) for broker in found.brokers], ["broker", "address", "pid", "state"], output)
    if found.state not in {"running", "degraded"}:
        raise NotReachable(f"the broker of `headrace dev up` is {found.state}; `headrace dev up` starts it")
