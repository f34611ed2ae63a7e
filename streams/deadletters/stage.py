"""The stage `deadletters`: indexes the letters of all stages, and redrives, discards and shows them.

Its lead is its own redrive topic, on which requests come, so that a new stage only adds a follower. The other sources
are the dlq topics of all stages, which have as many partitions.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from functools import partial

import orjson
from confluent_kafka import Message

from streams.config import Settings
from streams.deadletters.index import AGENDA, LETTERS, carry_out, due_request, is_asked_of, take_up, told
from streams.deadletters.policy import COPIES, LetterPolicy, letter_policy
from streams.deadletters.requests import STAGE, Action, request_of
from streams.deadletters.subscriptions import keep_subscriptions
from streams.deadletters.webhook import tell_webhook
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.concurrency import RecordScope
from streams.engine.record_reader import RecordReader
from streams.engine.stage import StageSpec, TableSpec
from streams.topology.model import Topology
from streams.topology.names import redrive_topic

_READ_S = 3.0  # within what an agent has for a batch


def returning_stages(stages: Iterable[StageSpec]) -> frozenset[str]:
    """Stages that take letters back: those with a retry policy."""
    return frozenset(stage.name for stage in stages if stage.retries is not None)


def deadletters_spec(stages: Iterable[StageSpec]) -> StageSpec | None:
    """The stage for the letters of these; None where there are none."""
    others = sorted(stages, key=lambda stage: stage.name)
    if not others:
        return None
    back = {redrive_topic(name) for name in returning_stages(others)}
    spec = StageSpec(
        name=STAGE,
        sources=(redrive_topic(STAGE), *(stage.dead_letters for stage in others)),
        tables=(TableSpec(LETTERS, by="source"), TableSpec(AGENDA, by="source")),
        destinations=COPIES | back | {redrive_topic(STAGE)},
    )
    return spec.with_timers()


def deadletters_stage(
    spec: StageSpec, stages: Iterable[StageSpec], topology: Topology, settings: Settings, *, web_enabled: bool = False
) -> StageApp:
    """The Faust App of the stage.

    Args:
        spec: of `deadletters_spec`.
        stages: the others.
        topology: says what becomes of letters, and which subscriptions there are.
        settings: of this worker.
        web_enabled: whether this App hosts the process's web server.
    """
    policy = letter_policy(topology.failures, returning_stages(stages))
    app = StageApp(spec, settings, web_enabled=web_enabled)
    reader = RecordReader(settings)
    for source in spec.followers:
        _index(app, source, policy)
    _answer_requests(app, reader, policy)
    _ask_for_what_is_due(app)
    _beside(app, lambda: keep_subscriptions(app, topology, settings))
    if policy.webhook is not None:
        url = policy.webhook
        _beside(app, lambda: tell_webhook(app, settings, url))
    return app


def _index(app: StageApp, source: str, policy: LetterPolicy) -> None:
    async def index(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            index_batch(batch, policy)

    app.agent(app.topic(source), name=f"index.{source}")(index)


def index_batch(batch: Batch, policy: LetterPolicy) -> None:
    """Take up all letters of a batch."""
    batch.state(LETTERS)
    batch.state(AGENDA)

    def handle(record: Message) -> None:
        chance = random.random()  # noqa: S311 it spreads redrives, and hides nothing
        take_up(batch, record, policy, time.time_ns() // 1_000_000, chance)

    batch.each(handle)


def _answer_requests(app: StageApp, reader: RecordReader, policy: LetterPolicy) -> None:
    async def answer(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            await batch.each_async(lambda record, scope: answer_request(record, scope, reader, policy))

    app.agent(app.topic(app.spec.lead), name="answer")(answer)


async def answer_request(record: Message, scope: RecordScope, reader: RecordReader, policy: LetterPolicy) -> None:
    """Carry out one request, unless its letter has moved on."""
    request = request_of(list(record.headers() or ()))  # type: ignore[arg-type]  # bytes when consumed
    if request.action is Action.TOLD:
        told(scope, request)
        return
    if is_asked_of(scope, request) is None:
        return
    found = reader.kept(*request.position) or await asyncio.to_thread(reader.read, *request.position, _READ_S)
    letter = is_asked_of(scope, request)  # it may have moved on while it was read
    if letter is not None:
        carry_out(scope, request, letter, found, policy)


def _ask_for_what_is_due(app: StageApp) -> None:
    async def ask(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            batch.each(partial(ask_in_time, batch))

    app.agent(app.topic(app.spec.wakeups_channel), name="ask for what is due")(ask)


def ask_in_time(batch: Batch, wakeup: Message) -> None:
    """A letter's time has come: ask for its redrive like anybody else, for reading it may take a while."""
    request = due_request(orjson.loads(wakeup.value() or b""))
    key = str(request.letter).encode()
    batch.send(redrive_topic(STAGE), None, key, partition=request.partition, headers=request.headers())


def _beside(app: StageApp, work: Callable[[], Awaitable[None]]) -> None:
    """Run something on the event loop as long as the App runs; it asks the stage by requests only."""

    async def task() -> None:
        await work()

    app.task(task)
