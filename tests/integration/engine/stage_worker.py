"""A worker process for tests: the counting stage on each spec given, as `headrace worker` runs stages.

    python -m tests.integration.engine.stage_worker SPEC...      a spec as JSON: {"name", "sources", "tables", "out"}

Settings come from the environment. The values `crash`, `sleep` and `block` make the agent raise outside any record's
handling, wait for ever, and hold up the event loop for ever. TEST_PATIENCE_S replaces the engine's timeouts.
"""

import asyncio
import dataclasses
import json
import os
import sys
import time
from typing import Any

from streams.config import Settings
from streams.engine import handover, hosting, transport
from streams.engine.app import StageApp
from streams.engine.hosting import run_stages
from streams.engine.stage import StageSpec, TableSpec
from streams.telemetry.logs import configure_logs
from tests.integration.engine.counting import app_with, count


def argument_of(spec: StageSpec) -> str:
    """What `main` reads again."""
    return json.dumps(dataclasses.asdict(spec), default=sorted)


def spec_of(argument: str) -> StageSpec:
    raw = json.loads(argument)
    tables = tuple(TableSpec(**table) for table in raw.pop("tables"))
    return StageSpec(
        **{**raw, "sources": tuple(raw["sources"]), "tables": tables, "destinations": frozenset(raw["destinations"])}
    )


def app_of(spec: StageSpec, settings: Settings) -> StageApp:
    async def agent(batches: Any) -> None:
        async for batch in batches:
            batch.each(lambda record, batch=batch: count(batch, record))
            asked = {record.value() for record in batch.records}
            if b"crash" in asked:
                raise RuntimeError("asked to")
            if b"sleep" in asked:
                say("sleeping")
                await asyncio.sleep(3600)
            if b"block" in asked:
                say("blocking")
                time.sleep(3600)  # noqa: ASYNC251 what a careless agent does

    return app_with(spec, settings, agent)


def say(text: str) -> None:
    sys.stderr.write(f"worker: {text}\n")
    sys.stderr.flush()


def shorten_timeouts(patience_s: float) -> None:
    handover.ACK_TIMEOUT_S = patience_s
    handover.STOP_ACK_TIMEOUT_S = patience_s / 4
    hosting.STOP_LIMIT_S = transport.STOP_TIMEOUT_S = patience_s


def main() -> None:
    if "TEST_PATIENCE_S" in os.environ:
        shorten_timeouts(float(os.environ["TEST_PATIENCE_S"]))
    settings = Settings()
    configure_logs(settings)
    failure = run_stages([app_of(spec_of(argument), settings) for argument in sys.argv[1:]])
    if failure is not None:
        say(str(failure))
        sys.exit(1)


if __name__ == "__main__":
    main()
