"""`headrace replay STAGE`: sets offsets of a stage that is stopped, as kafka-consumer-groups would, with a way back."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from confluent_kafka.admin import AdminClient

from streams.app import load_domain, load_world, one_stage, stage_specs
from streams.cli.options import location_options, output_option
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.engine.group_offsets import committed_offsets
from streams.engine.owners import members_of
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError, UsageError
from streams.topology.connection import connect
from streams.topology.instants import parse_datetime, parse_duration
from streams.topology.offset_files import read_offsets, write_offsets
from streams.topology.partition_choice import Choice, chosen_partitions, parse_choice, those_given
from streams.topology.replay import (
    ReplayPlan,
    Scenario,
    ShiftBy,
    ToCurrent,
    ToEarliest,
    ToGiven,
    ToLatest,
    ToOffset,
    ToTime,
    listed,
)
from streams.topology.replaying import OffsetsStay, carry_out, look, partition_counts

_OFFSETS_S = 25.0  # what a killed worker's transaction holds open is free after 20 s at most
_COLUMNS = ("stage", "topic", "partition", "current_offset", "new_offset", "reprocessed", "skipped")

_SCENARIOS: Mapping[str, Callable[[Any], Scenario]] = {
    "to_earliest": lambda _: ToEarliest(),
    "to_latest": lambda _: ToLatest(),
    "to_current": lambda _: ToCurrent(),
    "to_offset": ToOffset,
    "shift_by": ShiftBy,
    "to_datetime": lambda text: ToTime(parse_datetime(text)),
    "by_duration": lambda text: ToTime(time.time_ns() // 1_000_000 - parse_duration(text)),
    "from_file": lambda path: ToGiven(read_offsets(path)),
}


@click.command(short_help="Set a stage's offsets back or forth.")
@click.argument("stage")
@click.option("--to-earliest", is_flag=True, help="To the first record that is still there.")
@click.option("--to-latest", is_flag=True, help="To the next record that comes.")
@click.option("--to-current", is_flag=True, help="To where it stands: shows offsets, or exports them.")
@click.option("--to-offset", type=click.IntRange(min=0), metavar="N", help="To offset N in every partition.")
@click.option("--shift-by", type=int, metavar="N", help="N offsets forward, back if N is negative.")
@click.option("--to-datetime", metavar="T", help="To the first record at 2026-11-25T10:15:00.000Z or later.")
@click.option("--by-duration", metavar="D", help="To the first record of the last PnDTnHnMnS, such as PT30M.")
@click.option("--from-file", type=click.Path(path_type=Path), metavar="FILE", help="To the offsets of an undo file.")
@click.option("--topic", "topics", multiple=True, metavar="T[:0,1]", help="Only this source, or partitions of it.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done; the default.")
@click.option("--execute", is_flag=True, help="Do it.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write the offsets before to FILE.")
@location_options
@output_option
def replay(
    stage: str, topics: tuple[str, ...], *, dry_run: bool, execute: bool, export: Path | None, output: str, **asked: Any
) -> None:
    """Set the offsets of STAGE, whose workers are stopped: what was processed is processed again, or skipped.

    Takes one scenario. Shows before and after; only --execute changes anything, and says how to undo it.
    """
    if dry_run and execute:
        raise click.UsageError("expected --dry-run or --execute, got both")
    scenario = _scenario(asked)
    settings = Settings()
    spec = one_stage(stage_specs(load_world(settings).topology, load_domain(settings.app)), stage)
    choice = parse_choice(topics, spec.name, spec.sources)
    replayed = _prepare(settings, spec, choice, scenario, str(asked["from_file"]))
    undo = replayed.export(export, execute=execute)
    if execute:
        replayed.execute(undo, exported=export is not None)
    for warning in replayed.warnings(undo):
        click.echo(f"warning: {warning}", err=True)
    print_rows(replayed.rows(), _COLUMNS, output)
    click.echo(replayed.outcome(undo, execute=execute), err=True)


def _scenario(asked: Mapping[str, Any]) -> Scenario:
    """The one that was asked for."""
    chosen = [name for name in _SCENARIOS if asked[name] is not None and asked[name] is not False]
    if len(chosen) != 1:
        flags = ["--" + name.replace("_", "-") for name in _SCENARIOS]
        got = " and ".join("--" + name.replace("_", "-") for name in chosen) or "none"
        raise click.UsageError(f"expected exactly one of {', '.join(flags)}, got {got}")
    (name,) = chosen
    try:
        return _SCENARIOS[name](asked[name])
    except UsageError as error:
        raise UsageError(f"--{name.replace('_', '-')}: {error}") from None


def _prepare(settings: Settings, spec: StageSpec, choice: Choice, scenario: Scenario, file: str) -> "_Replay":
    """Look at the cluster, and refuse a stage that has workers, as Kafka's tool does in a dry run too."""
    admin = connect(settings.kafka_config())
    partitions = chosen_partitions(choice, partition_counts(admin, list(choice)))
    if isinstance(scenario, ToGiven):
        partitions = those_given(choice, partitions, scenario.offsets, spec.sources, file)
    if members := members_of(settings, spec.group):
        raise HeadraceError(
            f"stage {spec.name} is active: group {spec.group} has members {', '.join(members)}; stop them with SIGTERM "
            "and try again (one that was killed, or has static membership, counts until its session ends)"
        )
    committed = partial(committed_offsets, settings.kafka_config(), timeout_s=_OFFSETS_S)
    plan = look(admin, spec.group, scenario, partitions, committed)
    return _Replay(settings, spec, admin, plan)


@dataclass(frozen=True, slots=True)
class _Replay:
    """A plan, and all that is needed to show it and to carry it out."""

    settings: Settings
    spec: StageSpec
    admin: AdminClient
    plan: ReplayPlan

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Before and after, a row for each partition."""
        return [
            {
                "stage": self.spec.name,
                "topic": move.partition.topic,
                "partition": move.partition.number,
                "current_offset": move.before,
                "new_offset": move.after,
                "reprocessed": move.reprocessed,
                "skipped": move.skipped,
            }
            for move in self.plan.moves
        ]

    def warnings(self, undo: Path | None) -> Sequence[str]:
        """Where it does other than was asked, and what neither it nor its undo file sets back."""
        warnings = list(self.plan.warnings)
        lacking = [move.partition for move in self.plan.moves if move.before is None]
        if undo is not None and lacking:
            warnings.append(f"{undo} lacks {listed(lacking)}: the group had no offset there")
        if self.spec.tables and self.plan.changes:
            tables = ", ".join(table.name for table in self.spec.tables)
            changelogs = ", ".join(self.spec.changelog(table.name) for table in self.spec.tables)
            warnings.append(
                f"tables are not reset ({tables}): records processed again count again, skipped ones are missing; "
                f"to begin afresh delete {changelogs} and run `headrace topology apply` before the workers start"
            )
        return warnings

    def export(self, given: Path | None, *, execute: bool) -> Path | None:
        """Write the offsets before to the file that was named; without one only what is executed leaves one."""
        path = given or (self._own_file() if execute and self.plan.undo else None)
        if path is not None:
            write_offsets(path, self.plan.undo)
        return path

    def _own_file(self) -> Path:
        name = f"{self.spec.name}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.csv"
        return (self.settings.state_dir / "replays" / name).absolute()

    def execute(self, undo: Path | None, *, exported: bool) -> None:
        """Set the offsets; the file that was made for this goes again where nothing was set."""
        try:
            carry_out(self.admin, self.spec.group, self.plan.targets, self._undo_command(undo))
        except OffsetsStay:
            if undo is not None and not exported:
                undo.unlink(missing_ok=True)
            raise

    def outcome(self, undo: Path | None, *, execute: bool) -> str:
        """What was done, and what to do next."""
        if not execute:
            return "dry run: nothing was changed; --execute does it"
        return f"offsets of group {self.spec.group} set; undo: {self._undo_command(undo)}"

    def _undo_command(self, undo: Path | None) -> str:
        if undo is None:
            return "none, the group had no offsets"
        return shlex.join(["headrace", "replay", self.spec.name, "--from-file", str(undo), "--execute"])
