"""Runs one or many stages in one process: mode's Worker over a small service that starts the Apps side by side.

SIGTERM drains and commits; a crash of one stage ends the process with code 1 after the others have committed. Every
end is bounded: what has not stopped in time is left behind, which is safe, since only commits count.
"""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import structlog
from mode import Service, Worker

from streams.engine.app import StageApp

log = structlog.get_logger(__name__)

STOP_LIMIT_S = 29.0  # the promise is 30 s from SIGTERM to the end


class Stages(Service):
    """Starts and stops all stages of a process concurrently; remembers why the first one failed."""

    def __init__(self, apps: Sequence[StageApp], **kwargs: Any) -> None:
        self.apps = list(apps)
        self.failure: BaseException | None = None
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Start every App in a task of its own: one that waits for the broker holds up no other."""
        for app in self.apps:
            app.beacon.reattach(self.beacon)
            self.add_future(self._run(app))

    async def _run(self, app: StageApp) -> None:
        try:
            await app.maybe_start()
            await app.wait_until_stopped()
            failure = app.crash_reason
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 it ends the process, with its name
            failure = error
        if failure is not None and self.failure is None:
            self.failure = failure
            log.error("stage failed", stage=app.spec.name, error=str(failure) or repr(failure))
            await self.crash(failure)

    async def on_stop(self) -> None:
        """Stop every App; one that fails to stop keeps no other from committing."""
        await asyncio.gather(*(app.stop() for app in self.apps), return_exceptions=True)


class StageWorker(Worker):
    """mode's Worker with a bound on its end."""

    def __init__(self, stages: Stages) -> None:
        super().__init__(
            stages, override_logging=False, redirect_stdouts=False, quiet=True, daemon=True, loglevel="WARN"
        )
        self.stages = stages

    def install_signal_handlers(self) -> None:
        """mode's, and a bound that holds even where an agent blocks the event loop, which then hears no signal."""
        super().install_signal_handlers()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.bound_the_end())
            signal.siginterrupt(number, False)  # noqa: FBT003 as asyncio has it; signal.signal() undoes that

    async def _sentinel_task(self) -> None:
        """Where mode waits a second before it closes the event loop; in a restart every partition would wait along."""

    def bound_the_end(self) -> None:
        """From now on the process has `STOP_LIMIT_S` seconds; a hanging library must not keep it alive."""
        timer = threading.Timer(STOP_LIMIT_S, self._leave)
        timer.daemon = True
        timer.start()

    def _leave(self) -> None:
        log.error("the worker did not stop in time; what was not committed will run again")
        os._exit(exit_code(self.stages.apps))


def exit_code(apps: Sequence[StageApp]) -> int:
    """0 where every stage has ended its last cycle, 1 where one failed or still runs."""
    engines = [app.engine for app in apps]
    return int(any(engine is not None and engine.health.state != "stopped" for engine in engines))


def run_stages(apps: Sequence[StageApp]) -> BaseException | None:
    """Run until SIGTERM, SIGINT or a failure; returns the failure."""
    # Collecting the long-lived objects of Faust and pydantic over and over costs more than it frees.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    stages = Stages(apps)
    worker = StageWorker(stages)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if end.code not in {None, 0} and stages.failure is None:
            raise
    return stages.failure
