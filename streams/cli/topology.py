"""`headrace topology`: check topology.yaml, show what the cluster lacks, bring it there, draw it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import click
import yaml
from confluent_kafka.admin import AdminClient

from streams import app
from streams.calls.intents import ways_of
from streams.cli.contract_changes import contract_changes
from streams.cli.options import location_options, output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.engine.group_offsets import committed_offsets
from streams.engine.registries import open_registry
from streams.errors import HeadraceError
from streams.messages.contracts import Contracts, load_contracts
from streams.messages.registry import Registry
from streams.telemetry.alerts import alert_rules
from streams.topology import graph as graphs
from streams.topology import names
from streams.topology.apply import Outcome, apply_plan
from streams.topology.cluster import read_cluster
from streams.topology.connection import connect
from streams.topology.desired import desired_groups, desired_topics
from streams.topology.integration import Call, Transformation
from streams.topology.loading import load_topology
from streams.topology.plan import Plan, make_plan
from streams.transforming.conversions import described_paths


@click.group(cls=Suggesting)
def topology() -> None:
    """Check topology.yaml and bring it to the cluster."""


@topology.command(short_help="Show every mistake in topology.yaml, one a line.")
@location_options
def lint() -> None:
    """Show every mistake in topology.yaml, one a line; exit 1 if there is one."""
    settings = Settings()
    checked = app.load_world(settings).topology
    routes = sum(len(router.routes) for router in checked.routers)
    counts = f"topics: {len(checked.topics)}, routers: {len(checked.routers)}, routes: {routes}"
    if checked.transformations:
        counts += f", transformations: {len(checked.transformations)}"
    if checked.patterns:
        counts += f", patterns: {len(checked.patterns)}"
    if checked.calls:
        counts += f", calls: {len(checked.calls)}"
    click.echo(f"{settings.topology}: no findings ({counts})")


@topology.command(short_help="Show the difference between topology.yaml and the cluster.")
@location_options
@output_option
def plan(output: str) -> None:
    """Show the difference between topology.yaml and the cluster; exit 0 with differences too."""
    prepared = _prepare(Settings())
    _warn(prepared.plan)
    rows = [
        {
            "change": change.action,
            "target": change.target,
            "detail": change.detail,
            "destructive": change.destructive,
        }
        for change in prepared.plan.changes
    ]
    if rows or output == "json":
        print_rows(rows, ["change", "target", "detail"], output)
    else:
        click.echo("nothing to do")


@topology.command(short_help="Make the difference: topics, contracts, group offsets.")
@location_options
@click.option(
    "--allow-destructive",
    is_flag=True,
    help="Also make changes that lose records: shorter retention, smaller messages, another cleanup policy, "
    "deletion of changelogs of tables that are gone.",
)
def apply(*, allow_destructive: bool) -> None:
    """Make the difference: topics, contracts, group offsets; says what it did."""
    prepared = _prepare(Settings())
    _warn(prepared.plan)
    made, left_out = 0, 0
    for outcome in prepared.apply(allow_destructive=allow_destructive):
        click.echo(outcome.text, err=not outcome.made)
        made += outcome.made
        left_out += outcome.unmet
    if not made:
        click.echo("nothing to do")
    if left_out:
        raise HeadraceError(f"changes left out: {left_out}; the cluster is not yet as the topology says")


@topology.command()
@location_options
def graph() -> None:
    """Print the topology as a Mermaid flowchart."""
    settings = Settings()
    loaded = load_topology(settings.topology)

    def ways(call: Call) -> tuple[Sequence[str], Sequence[str]]:
        return ways_of(call, loaded)

    if not loaded.transformations:
        click.echo(graphs.mermaid(loaded, ways_of=ways))
        return
    conversions = app.load_conversions(settings, loaded, load_contracts(settings.schemas))

    def paths(each: Transformation) -> list[str]:
        return [line.replace(" -> ", " → ") for line in described_paths(each, loaded, conversions)]

    click.echo(graphs.mermaid(loaded, paths, ways))


@topology.command(short_help="Print alert rules for Prometheus.")
@location_options
def alerts() -> None:
    """Print Prometheus alert rules: the topology's thresholds, and the routes with `alert_on_failure`."""
    loaded = load_topology(Settings().topology)
    routes = [route for router in loaded.routers for route in router.routes if route.monitoring.alert_on_failure]
    rules = alert_rules(
        [route.name for route in routes],
        lag=loaded.alerts.lag,
        dead_letters_per_minute=loaded.alerts.dead_letters_per_minute,
    )
    click.echo(yaml.safe_dump(rules, sort_keys=False, width=120), nl=False)


def apply_topology(settings: Settings) -> Iterator[str]:
    """Apply without losing a record, for other commands; a line for each thing done or left out.

    Raises:
        HeadraceError: as the command does.
    """
    for outcome in _prepare(settings).apply(allow_destructive=False):
        yield outcome.text


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A plan, and all that is needed to carry it out."""

    settings: Settings
    contracts: Contracts
    admin: AdminClient
    plan: Plan

    def apply(self, *, allow_destructive: bool) -> Iterator[Outcome]:
        """Carry it out. The registry is opened when its first contract comes: by then its topic exists."""
        with ExitStack() as ends:
            opened: list[Registry] = []

            def register(name: str) -> str:
                if not opened:
                    opened.append(open_registry(self.settings))
                    ends.callback(opened[0].close)
                registered = opened[0].register(self.contracts[name])
                return f"version {registered.version}, id {registered.id}"

            yield from apply_plan(self.admin, self.plan, register, allow_destructive=allow_destructive)


def _prepare(settings: Settings) -> _Prepared:
    """Lint, look at the cluster and compare.

    Raises:
        HeadraceError: findings, an unreadable file, or nobody answers.
    """
    world = app.load_world(settings)
    stages = app.stage_specs(world.topology, app.load_domain(settings.app))
    groups = desired_groups(world.topology, stages)
    admin = connect(settings.kafka_config())
    read = {source for stage in stages for source in stage.sources} | set(world.topology.topics)
    cluster = read_cluster(
        admin,
        lambda name: name in read or name.startswith(names.RESERVED_PREFIX),
        groups.values(),
        partial(committed_offsets, settings.kafka_config()),
    )
    topics = desired_topics(world.topology, stages, cluster)
    changes = contract_changes(settings, world.contracts, cluster)
    return _Prepared(settings, world.contracts, admin, make_plan(topics, groups, changes, cluster))


def _warn(plan: Plan) -> None:
    for warning in plan.warnings:
        click.echo(f"warning: {warning}", err=True)
