"""The counting stage of the benchmark, as HEADRACE_APP: one source, a table, every update emitted."""

from typing import Any

from streams.app import World
from streams.engine.app import StageApp
from streams.engine.stage import StageSpec, TableSpec

SOURCE, OUT = "counts.inbound", "counts.out"


def stage_specs(topology: Any) -> list[StageSpec]:
    del topology
    return [StageSpec("counting", (SOURCE,), (TableSpec("counts"),), frozenset({OUT}))]


def stage_app(spec: StageSpec, world: World, *, web_enabled: bool) -> StageApp:
    app = StageApp(spec, world.settings, web_enabled=web_enabled)

    async def count(batches: Any) -> None:
        async for batch in batches:
            counts = batch.state("counts")
            get, put, emit = counts.get, counts.set, batch.out.append

            def handle(record: Any, get: Any = get, put: Any = put, emit: Any = emit) -> None:
                key = record.key()
                number = get(key, 0) + 1
                put(key, number)
                emit((OUT, b"%s:%d" % (record.value(), number), key, -1, 0, None))

            batch.each(handle)

    app.agent(app.topic(SOURCE), name="count")(count)
    return app
