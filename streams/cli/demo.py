"""`headrace demo`: the example domain routed on a real broker while a worker is killed, then recounted."""

import importlib
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from streams.cli.topology import apply_topology
from streams.config import Settings
from streams.errors import HeadraceError, UsageError

_SEEDS = 1_000_000
_MESSAGES = 100_000


@click.command()
@click.option("--messages", type=click.IntRange(min=1), default=_MESSAGES, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Makes the same messages again.")
@click.option("--workers", type=click.IntRange(1, 8), default=2, show_default=True, help="Router processes.")
@click.option("--keep", is_flag=True, help="Keep the folder with logs, state and the broker's data.")
def demo(messages: int, seed: int | None, workers: int, *, keep: bool) -> None:
    """Route orders, some of them broken, while a worker is killed; then recount every topic.

    Starts a broker of its own unless KAFKA_BOOTSTRAP_SERVERS is set. Exits with 1 if anything is off.
    """
    domain = _domain(settings := Settings())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: cleaned up
    seed = random.randrange(_SEEDS) if seed is None else seed  # noqa: S311 not a secret
    folder = Path(tempfile.mkdtemp(prefix="headrace-demo-"))
    narrator = domain.Narrator(lambda text: click.echo(text, nl=False), live=sys.stdout.isatty())
    narrator.say(f"Headrace demo: {messages:,} messages, seed {seed}; Ctrl-C ends it and cleans up")
    keep_logs = True
    try:
        plan = domain.Plan(messages, seed, workers)
        result = domain.Demo(plan, settings, folder, apply_topology, narrator).run()
        for line in domain.report(result):
            narrator.say(line)
        narrator.say(f"took {narrator.elapsed_s():.0f} s; the same messages again: {_again(messages, seed)}")
        keep_logs = not result.good
    except KeyboardInterrupt:
        keep_logs = False
        raise
    finally:
        if _keep_some(folder, everything=keep, logs=keep_logs):
            narrator.say(f"{'logs, state and data' if keep else 'logs'}: {folder}")
    if not result.good:
        raise HeadraceError("the demo found something off; see above")


def _again(messages: int, seed: int) -> str:
    """Command line that makes the same messages, as it can be typed here: `make demo` leaves no `headrace` on PATH."""
    program = Path(sys.executable).with_name("headrace")
    here = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    number = "" if messages == _MESSAGES else f" --messages {messages}"
    return f"{'headrace' if shutil.which('headrace') else here} demo{number} --seed {seed}"


def _domain(settings: Settings) -> Any:  # a module that is found by name has no static type
    """Return the demo of the domain that HEADRACE_APP names: nothing imports a domain by name."""
    name = f"{settings.app}.demo.run"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise
        raise UsageError(
            f"HEADRACE_APP={settings.app!r} has no demo; the example domain streams.commerce has"
        ) from None


def _keep_some(folder: Path, *, everything: bool, logs: bool) -> bool:
    """Remove what is not to be kept; whether anything is left."""
    for path in folder.iterdir():
        if path.is_dir() and not everything:
            shutil.rmtree(path, ignore_errors=True)
        elif not everything and not logs:
            path.unlink()
    if any(folder.iterdir()):
        return True
    folder.rmdir()
    return False
