"""`headrace transform`: the paths that messages take from format to format. Needs no broker."""

import click

from streams import app
from streams.cli.options import location_options, output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.messages.contracts import load_contracts
from streams.topology.findings import findings_found
from streams.topology.loading import load_topology
from streams.transforming.conversions import described_path


@click.group(cls=Suggesting)
def transform() -> None:
    """Show how messages of one format become those of another."""


@transform.command(short_help="Show the path from one format to another, hop by hop.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@location_options
@output_option
def explain(source: str, target: str, output: str) -> None:
    """Show the cheapest path of converters from format FROM to format TO; exit 1 where there is none."""
    settings = Settings()
    topology = load_topology(settings.topology)
    contracts = load_contracts(settings.schemas)
    conversions = app.load_conversions(settings, topology, contracts)
    if conversions.findings:
        raise findings_found(settings.topology, conversions.findings)
    start, end = contracts[source], contracts[target]
    path = conversions.path(start, end)
    if output == "table":
        click.echo(described_path(path, conversions, start))
    rows = [
        {
            "hop": number,
            "from": conversions.short(hop.source),
            "to": conversions.short(hop.target),
            "cost": hop.cost,
            "converter": hop.origin,
            "runs": "async" if hop.is_async else "sync",
        }
        for number, hop in enumerate(path, 1)
    ]
    if rows or output == "json":
        print_rows(rows, ["hop", "from", "to", "cost", "converter", "runs"], output)
