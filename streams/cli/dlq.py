"""`headrace dlq`: reads the index of dead letters through a worker (HEADRACE_URL), and asks for redrives over Kafka.

A request that was carried out changes its letter, so a command that was interrupted goes on where it was when it is
run again. Nothing is asked for without --execute.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import click

from streams.cli.asking import AnswerRefused, ask
from streams.cli.letter_printing import print_letter
from streams.cli.options import output_option
from streams.cli.suggesting import Suggesting
from streams.cli.tabulate import print_rows
from streams.config import Settings
from streams.deadletters.asking import append_at_rate
from streams.deadletters.filters import FILTERS, GROUPED_BY, Grouping, parse_filters
from streams.deadletters.letter import Letter, LetterId, Position
from streams.deadletters.requests import Action, Request
from streams.errors import HeadraceError, UsageError

_A_PAGE = 1000
_PATIENCE_S = 30.0  # a worker may look through many letters for the few that are meant
_TOLD_EVERY_S = 2.0
_LIST_COLUMNS = ("id", "state", "category", "exception", "message", "key", "attempts", "redrives", "last_failed_at")
_HELP = {
    "category": "Only of this category, such as TRANSIENT.",
    "exception": "Only of this class of error.",
    "stage": "Only of this stage.",
    "route": "Only of this route.",
    "key": "Only of this key.",
    "state": "Only in this state; `open`: all that may be redriven or discarded.",
    "since": "Only those that failed last at T or later.",
    "until": "Only those that failed last before T.",
}


def _filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(FILTERS):
        metavar = "T" if name in {"since", "until"} else "TEXT"
        command = click.option(f"--{name}", metavar=metavar, help=_HELP[name])(command)
    return command


@click.group(cls=Suggesting)
def dlq() -> None:
    """Look into dead letters, send them back, or give them up."""


@dlq.command("list", short_help="List dead letters.")
@_filter_options
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Letters at most.")
@output_option
def list_letters(limit: int, output: str, **filters: str | None) -> None:
    """List dead letters, in the order of stage, topic, partition and offset."""
    rows: list[Mapping[str, Any]] = []
    for row in _rows(filters):
        if len(rows) == limit:
            click.echo(f"there are more letters; raise --limit (now {limit}) or narrow with filters", err=True)
            break
        rows.append(row)
    print_rows(rows, _LIST_COLUMNS, output)


@dlq.command(short_help="Show one dead letter with all that is in it.")
@click.argument("letter")
@output_option
def show(letter: str, output: str) -> None:
    """Show the dead letter of this id: headers, payload, stack trace; exit 1 when there is none."""
    print_letter(_letter(_parsed(letter)), output)


@dlq.command()
@_filter_options
@click.option("--by", default=",".join(GROUPED_BY), show_default=True, metavar="A,B", help="What groups agree in.")
@output_option
def group(by: str, output: str, **filters: str | None) -> None:
    """Count dead letters that agree, the largest groups first."""
    names = [name.strip() for name in by.split(",")]
    allowed = (*GROUPED_BY, "key", "topic")
    if not set(names) <= set(allowed) or len(set(names)) < len(names):
        raise UsageError(f"--by: expected some of {','.join(allowed)}, got {by!r:.100}")
    grouping = Grouping(names)
    grouping.add(map(_of_row, _rows(filters)))
    print_rows(grouping.rows(), (*names, "letters", "first_failed_at", "last_failed_at"), output)


def _acting(command: Callable[..., Any]) -> Callable[..., Any]:
    """What redrive and discard have in common."""
    for decorate in reversed(
        (
            click.argument("letters", nargs=-1, metavar="[LETTER]..."),
            _filter_options,
            click.option("--dry-run", is_flag=True, help="Only show what would be done; the default."),
            click.option("--execute", is_flag=True, help="Do it."),
            click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Letters a second at most."),
            output_option,
        )
    ):
        command = decorate(command)
    return command


@dlq.command(short_help="Send dead letters back to their stages.")
@_acting
def redrive(**asked: Any) -> None:
    """Send open dead letters back to their stages: those of these ids, or all that the filters mean.

    Those of one key go in the order of their offsets. What was sent back before is left out, so that a command that
    was interrupted can be run again.
    """
    _act(Action.REDRIVE, **asked)


@dlq.command(short_help="Give dead letters up for good.")
@_acting
def discard(**asked: Any) -> None:
    """Give open dead letters up for good: those of these ids, or all that the filters mean."""
    _act(Action.DISCARD, **asked)


def _act(
    action: Action,
    letters: Sequence[str],
    *,
    dry_run: bool,
    execute: bool,
    rate: float | None,
    output: str,
    **filters: str | None,
) -> None:
    if dry_run and execute:
        raise click.UsageError("expected --dry-run or --execute, got both")
    if letters and any(filters.values()):
        raise click.UsageError("expected letters or filters, got both")
    if not letters and not any(filters.values()):
        raise click.UsageError("expected letters or filters, got none; --state open means all")
    grouping = Grouping()
    chosen = _named(letters, action) if letters else _meant(filters)
    if execute:
        count = _carry_out(action, chosen, grouping, rate)
        outcome = f"asked to {action} {count:,} letters; `headrace dlq list` shows what became of them"
    else:
        grouping.add(chosen)
        outcome = f"would {action} these letters; --execute does it"
    print_rows(grouping.rows(), (*grouping.by, "letters", "first_failed_at", "last_failed_at"), output)
    click.echo(outcome, err=True)


def _carry_out(action: Action, chosen: Iterator[Letter], grouping: Grouping, rate: float | None) -> int:
    told_at = time.monotonic()

    def requests() -> Iterator[Request]:
        for letter in chosen:
            grouping.add([letter])
            yield Request(action, letter.id, Position.parse(letter.letter))

    def sent(count: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TOLD_EVERY_S:
            told_at = time.monotonic()
            click.echo(f"asked to {action} {count:,} letters", err=True)

    return append_at_rate(Settings(), requests(), rate, sent)


def _named(texts: Sequence[str], action: Action) -> Iterator[Letter]:
    """The open ones of these letters, in the order of their offsets."""
    for letter_id in sorted({_parsed(text) for text in texts}):
        letter = _of_row(_letter(letter_id))
        if letter.is_open:
            yield letter
        else:
            click.echo(f"{letter_id} is {letter.state} already; there is nothing to {action}", err=True)


def _meant(filters: Mapping[str, str | None]) -> Iterator[Letter]:
    """The open ones of the letters that are meant."""
    return (letter for letter in map(_of_row, _rows({"state": "open", **_given(filters)})) if letter.is_open)


def _given(filters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in filters.items() if text}


def _rows(filters: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
    """Letters that are meant, page after page."""
    asked = {**parse_filters(filters).given(), "limit": str(_A_PAGE)}
    while True:
        page = ask(f"/api/deadletters?{urlencode(asked)}", patience_s=_PATIENCE_S)
        yield from page["items"]
        if page["next"] is None:
            return
        asked["after"] = page["next"]


def _letter(letter_id: LetterId) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = ask(f"/api/deadletters/{quote(str(letter_id), safe='')}")
    except AnswerRefused as refused:
        if refused.code == "no_such_letter":
            raise HeadraceError(f"there is no dead letter {letter_id}; `headrace dlq list` shows them") from None
        raise
    return found


def _parsed(text: str) -> LetterId:
    try:
        return LetterId.parse(text)
    except ValueError as error:
        raise UsageError(f"LETTER: {error}") from None


def _of_row(row: Mapping[str, Any]) -> Letter:
    return Letter.of_row({name: row[name] for name in Letter.__slots__})
