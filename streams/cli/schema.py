"""`headrace schema`: check the contracts in the folder, register them, list what is registered."""

from contextlib import closing

import click

from streams.cli.options import location_options, output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.engine.registries import open_registry
from streams.errors import FindingsFound, NotReachable
from streams.messages.compatibility import incompatibilities_with_all
from streams.messages.contracts import Contract, Contracts, load_contracts
from streams.messages.leaks import leaks
from streams.messages.registry import Registered


@click.group(cls=Suggesting)
def schema() -> None:
    """Check, register and list contracts."""


@schema.command(short_help="Check the files, and that they can read what is registered.")
@location_options
def check() -> None:
    """Check the files, and that each contract can read every registered version of itself; exit 1 if not.

    Warns of implementation details in a message: SQL, connection strings, host names.
    """
    settings = Settings()
    contracts = load_contracts(settings.schemas)
    for contract in contracts:
        for leak in leaks(contract):
            click.echo(f"warning: {leak.line()}", err=True)
    registered = _registered(settings)
    if registered is None:
        click.echo(f"{settings.schemas}: {_count(contracts)} valid")
        click.echo(
            "compatibility not checked: no registry; set KAFKA_BOOTSTRAP_SERVERS or SCHEMA_REGISTRY_URL, "
            "or run `headrace dev up`",
            err=True,
        )
        return
    found = [line for contract in contracts for line in incompatibilities_with_all(contract, registered)]
    if found:
        raise FindingsFound("\n".join(found))
    compared = sum(each.subject in contracts for each in registered)
    click.echo(f"{settings.schemas}: {_count(contracts)} valid, compatible with {compared} registered versions")


@schema.command(short_help="Register contracts: all, or those named.")
@location_options
@click.argument("names", nargs=-1, metavar="[NAME]...")
def register(names: tuple[str, ...]) -> None:
    """Register contracts (all, or those named); the same schema keeps its id.

    A contract that cannot read a registered version of itself is refused; the others are registered, exit 1.
    """
    settings = Settings()
    contracts = load_contracts(settings.schemas)
    refused: list[str] = []
    with closing(open_registry(settings)) as registry:
        for contract in _chosen(contracts, names):
            try:
                done = registry.register(contract)
            except FindingsFound as findings:
                refused.append(str(findings))
            else:
                click.echo(f"{done.subject}: version {done.version}, id {done.id}")
    if refused:
        raise FindingsFound("\n".join(refused))


@schema.command(name="list")
@location_options
@output_option
def list_registered(output: str) -> None:
    """List every registered version with its id."""
    # Unchecked: what a registry without the ids in use does have is what one wants to see then.
    with closing(open_registry(Settings(), checked=False)) as registry:
        rows = [
            {"name": each.name, "subject": each.subject, "version": each.version, "id": each.id}
            for each in registry.all()
        ]
    print_rows(rows, ["name", "subject", "version", "id"], output)


def _chosen(contracts: Contracts, names: tuple[str, ...]) -> list[Contract]:
    return [contracts[name] for name in names] if names else list(contracts)


def _registered(settings: Settings) -> list[Registered] | None:
    """What the registry holds; None where the settings name none.

    Without a broker nobody knows the ids in use, so what a registry over HTTP holds is taken as it is.
    """
    try:
        settings.bootstrap_servers()
    except NotReachable:
        if not settings.registry_url():
            return None
        checked = False
    else:
        checked = True
    with closing(open_registry(settings, checked=checked)) as registry:
        return registry.all()


def _count(contracts: Contracts) -> str:
    return f"{len(contracts)} contract{'s' * (len(contracts) != 1)}"
