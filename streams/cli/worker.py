"""`headrace worker [STAGE…]`: run stages in one process, or in several that this one watches."""

import errno
import sys

import click
import structlog

from streams.app import choose_stages, load_domain, load_world, stage_apps, stage_specs
from streams.cli.options import location_options
from streams.cli.processes import run_processes
from streams.config import Settings
from streams.deadletters.opening import LetterDesk
from streams.engine.hosting import run_stages
from streams.errors import ConfigurationRefused, HeadraceError
from streams.telemetry.logs import configure_logs
from streams.web.mounting import mount

log = structlog.get_logger(__name__)


@click.command()
@click.argument("stages", nargs=-1, metavar="[STAGE]...")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
@location_options
def worker(stages: tuple[str, ...], processes: int) -> None:
    """Run STAGES (all where none is named) until SIGTERM, which drains and commits."""
    settings = Settings()
    settings.bootstrap_servers()
    world = load_world(settings)
    domain = load_domain(settings.app)
    specs = stage_specs(world.topology, domain)
    chosen = choose_stages(specs, stages)
    configure_logs(settings)
    if processes > 1:
        sys.exit(run_processes(settings, [spec.name for spec in chosen], processes))
    apps = stage_apps(world, chosen, domain)
    desk = LetterDesk(settings, world.contracts, world.open_registry)
    mount(apps[0], apps, settings, known=specs, desk=desk)
    log.info(
        "worker", stages=[spec.name for spec in chosen], instance=settings.instance_id, url=settings.advertised_url()
    )
    failure = run_stages(apps)
    if isinstance(failure, HeadraceError):
        raise failure
    if isinstance(failure, OSError) and failure.errno == errno.EADDRINUSE:
        raise ConfigurationRefused(f"port {settings.web_port} is taken; set HEADRACE_WEB_PORT") from failure
    if failure is not None:
        raise ConfigurationRefused(f"the worker stopped: {type(failure).__name__}: {failure}") from failure
