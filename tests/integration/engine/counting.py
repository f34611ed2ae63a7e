"""The stage that most tests run: counts records by key into a table and emits `<value>:<count>` for each.

As in the chaos runs, so that a recount of outputs and rows finds whatever is lost, doubled or out of order.
"""

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Message

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.ownership import OpenStore
from streams.engine.stage import StageSpec

Handle = Callable[[Batch, Message], None]
Agent = Callable[[Any], Any]


def count(batch: Batch, record: Message) -> None:
    rows = batch.state("counts")
    key = record.key() or b""
    number = rows.get(key, 0) + 1
    rows.set(key, number)
    batch.send(next(iter(destinations(batch))), b"%s:%d" % (record.value() or b"", number), key)


def destinations(batch: Batch) -> list[str]:
    return [topic for topic in batch._known_topics if topic.endswith(".out")]


def counting_app(
    spec: StageSpec, settings: Settings, handle: Handle = count, open_store: OpenStore | None = None
) -> StageApp:
    """A stage whose agents hand each record to `handle`."""

    async def agent(batches: Any) -> None:
        async for batch in batches:
            batch.each(lambda record, batch=batch: handle(batch, record))

    return app_with(spec, settings, agent, open_store)


def app_with(
    spec: StageSpec, settings: Settings, agent: Agent, open_store: OpenStore | None = None, **options: Any
) -> StageApp:
    """A stage with this agent on each source."""
    app = StageApp(spec, settings, open_store=open_store, **options)
    for source in spec.read_by_agents:
        app.agent(app.topic(source), name=f"agent of {source}")(agent)
    return app


def expected_outputs(values: Sequence[bytes]) -> list[bytes]:
    """What one key's values come out as."""
    return [b"%s:%d" % (value, number) for number, value in enumerate(values, 1)]
