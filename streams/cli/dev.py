"""`headrace dev up|down|status`: a Kafka of one's own, without knowing how it is run."""

import json
from dataclasses import asdict

import click

from streams.cli.options import output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.dev import local
from streams.errors import NotReachable, UsageError


@click.group(cls=Suggesting)
def dev() -> None:
    """Run Kafka, and a schema registry, on this machine: in Docker if an engine answers, else as Java processes."""


@dev.command(short_help="Start it; every other command then finds it.")
@click.option(
    "--brokers",
    type=click.Choice(["1", "3"]),
    help="How many (three: replication 3)  [default: what runs, else 1]",
)
@click.option("--registry", is_flag=True, help="A schema registry too (Apicurio), which other commands then use.")
def up(brokers: str | None, *, registry: bool) -> None:
    """Start it, if it does not run yet; every other command then finds it by itself."""
    settings = Settings()
    given = settings.kafka_bootstrap_servers
    if registry and settings.schema_registry_url:
        raise UsageError(
            f"--registry: SCHEMA_REGISTRY_URL is {settings.schema_registry_url}; unset it, or use that one"
        )
    if given:
        if registry:
            raise UsageError(f"--registry: it goes with a broker of `dev up`, and KAFKA_BOOTSTRAP_SERVERS is {given}")
        click.echo(f"nothing to start: KAFKA_BOOTSTRAP_SERVERS is {given}, cluster {local.check_given(given)}")
        return
    record = local.up(int(brokers) if brokers else None, click.echo, registry=registry)
    click.echo(f"Kafka is up at {record.bootstrap_servers} (cluster {record.cluster_id}, data in {record.folder})")
    if record.registry_url:
        click.echo(f"the registry is up at {record.registry_url}")


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
        if found.registry:
            click.echo(f"registry: {found.registry.state} at {found.registry.url}")
    if found.state not in {"running", "degraded"}:
        raise NotReachable(f"the broker of `headrace dev up` is {found.state}; `headrace dev up` starts it")
