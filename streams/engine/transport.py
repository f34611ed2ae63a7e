"""Faust's transport on the engine: its consumer starts the stage's loop, its producer sends through the batch.

Faust's fetcher, offset tracking, rebalance hooks and transactions are not used; what remains of them here are the
empty methods that its App calls.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import structlog
from faust import types as faust_types
from faust.events import Event
from faust.streams import current_event
from faust.transport import base
from faust.transport.drivers import TRANSPORTS
from faust.transport.producer import Producer
from faust.types import RecordMetadata
from faust.types.transports import ConsumerT
from faust.types.tuples import Message
from mode import Service

from streams.engine.batch import Batch
from streams.engine.cycle import AgentFailed, Cycle
from streams.engine.loop import StageLoop
from streams.errors import ConfigurationRefused

log = structlog.get_logger(__name__)

SCHEME = "headrace"
STOP_TIMEOUT_S = 25.0  # of the 30 s that a worker has to end after SIGTERM


class StageConsumer(Service, ConsumerT):
    """What Faust takes for its consumer: the start and the end of a stage's loop."""

    def __init__(self, transport: Any, **kwargs: Any) -> None:
        self.transport = transport
        self.app = transport.app
        self.commit_interval = 0.0
        self.randomly_assigned_topics: set[str] = set()
        self.in_transaction = False
        self.engine: StageLoop | None = None
        super().__init__(loop=kwargs.get("loop"), beacon=kwargs.get("beacon"))

    async def subscribe(self, topics: Any) -> None:
        """Start the loop, once; Faust calls this when its agents are up."""
        if self.engine is not None:
            return
        self._channels = _channels_by_source(self.app, set(topics))
        self._event_loop = asyncio.get_running_loop()
        self.app.flow_control.resume()  # suspended when an App is made
        self.app.tables.recovered.set()
        app = self.app
        self.engine = StageLoop(app.spec, app.settings, self._deliver, app.open_store, self._engine_ended, app.prepare)
        self.engine.start()

    def _deliver(self, batches: Sequence[Batch], cycle: Cycle) -> None:
        try:
            self._event_loop.call_soon_threadsafe(self._hand_over, batches)
        except RuntimeError as error:  # the event loop is closed
            cycle.fail(AgentFailed("agent", "the worker's event loop has ended", error))

    def _hand_over(self, batches: Sequence[Batch]) -> None:
        now = time.time()
        for batch in batches:
            tp = faust_types.TP(batch.topic, batch.partition)
            offset = batch.records[-1].offset()
            message = Message(batch.topic, batch.partition, offset, now, 0, None, None, batch, None, 0, 0, tp)
            self._channels[batch.topic].queue.put_nowait(Event(self.app, None, batch, None, message))

    def _engine_ended(self, error: BaseException | None) -> None:
        """Tell the App why its loop is over; where an agent blocks the event loop, only this thread can end it all."""
        if error is None or self._event_loop.is_closed():
            return
        told = asyncio.run_coroutine_threadsafe(self.app.crash(error), self._event_loop)
        try:
            told.result(STOP_TIMEOUT_S)
        except CancelledError:
            return
        except TimeoutError:
            if self._event_loop.is_running():
                log.critical("an agent blocks the event loop; leaving", stage=self.app.spec.name, error=str(error))
                os._exit(1)

    async def on_stop(self) -> None:
        """Commit and close, in bounded time."""
        engine = self.engine
        if engine is not None:
            engine.stop()
            await asyncio.get_running_loop().run_in_executor(None, engine.join, STOP_TIMEOUT_S)

    @property
    def unacked(self) -> set[Any]:
        """Nothing that Faust tracks."""
        return set()

    def assignment(self) -> set[Any]:
        """Partitions owned now, as Faust's web pages ask for them."""
        ownership = self.engine.ownership if self.engine is not None else None
        if ownership is None:
            return set()
        return {faust_types.TP(topic, p) for topic in self.app.spec.sources for p in list(ownership.states)}

    def ack(self, message: Any) -> bool:
        """Batches are acknowledged to their cycle."""
        del message
        return True

    def close(self) -> None:
        """Nothing: `on_stop` closes."""

    async def wait_empty(self) -> None:
        """Nothing: `on_stop` waits for the cycle."""

    async def perform_seek(self) -> None:
        """Nothing: the engine seeks."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 Faust's signature
        """Nothing: the engine commits."""
        del topics, start_new_transaction
        return True

    async def on_task_error(self, exc: BaseException) -> None:
        """Nothing."""

    def track_message(self, message: Any) -> None:
        """Nothing."""

    def highwater(self, tp: Any) -> int:
        """Not known to Faust."""
        del tp
        return 0

    def stop_flow(self) -> None:
        """Nothing."""

    def resume_flow(self) -> None:
        """Nothing."""

    def pause_partitions(self, tps: Any) -> None:
        """Nothing."""

    def resume_partitions(self, tps: Any) -> None:
        """Nothing."""

    async def getmany(self, timeout: float) -> Any:  # noqa: ASYNC109 Faust's signature
        """Never called: there is no fetcher."""
        del timeout
        yield

    async def position(self, tp: Any) -> int | None:
        """Not known to Faust."""
        del tp
        return None

    async def seek(self, partition: Any, offset: int) -> None:
        """Refused: offsets are reset with the group stopped."""
        del partition, offset
        raise ConfigurationRefused("stop the stage and reset its group's offsets; a running stage does not seek")

    async def seek_wait(self, partitions: Any) -> None:
        """Refused, as `seek`."""
        await self.seek(partitions, 0)

    async def earliest_offsets(self, *partitions: Any) -> dict[Any, int]:
        """Not known to Faust."""
        del partitions
        return {}

    async def highwaters(self, *partitions: Any) -> dict[Any, int]:
        """Not known to Faust."""
        del partitions
        return {}

    def topic_partitions(self, topic: str) -> int | None:
        """Not known to Faust."""
        del topic
        return None

    def key_partition(self, topic: str, key: Any, partition: int | None = None) -> int | None:
        """The partition that was asked for."""
        del topic, key
        return partition

    def verify_recovery_event_path(self, now: float, tp: Any) -> None:
        """Nothing."""

    def on_buffer_full(self, tp: Any) -> None:
        """Nothing: a cycle bounds what is in flight."""

    def on_buffer_drop(self, tp: Any) -> None:
        """Nothing."""

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `headrace topology apply` makes topics."""


def _channels_by_source(app: Any, subscribed: set[str]) -> dict[str, Any]:
    """The one channel of each source.

    Raises:
        ConfigurationRefused: a source has no agent or several, or an agent reads what is no source.
    """
    spec = app.spec
    index = app.topics._topic_name_index  # noqa: SLF001 tests/unit/engine/test_faust_names.py watches it
    channels = {}
    for source in spec.read_by_agents:
        found = list(index.get(source, ()))
        if len(found) != 1:
            raise ConfigurationRefused(f"stage {spec.name} needs one agent on {source}, it has {len(found)}")
        channels[source] = found[0]
    strangers = subscribed - set(spec.read_by_agents)
    if strangers:
        raise ConfigurationRefused(f"stage {spec.name} has agents on {sorted(strangers)}, which are not its sources")
    return channels


class BatchProducer(Producer):
    """`topic.send()` inside an agent joins the batch's transaction; anywhere else it is refused."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Any:
        """Put the record out with the current batch."""
        del transactional_id
        event = current_event()
        if event is None or not isinstance(event.value, Batch):
            raise ConfigurationRefused(f"topic.send() to {topic} outside an agent: no transaction would hold it")
        event.value.send(
            topic,
            value,
            key,
            partition=-1 if partition is None else partition,
            timestamp_ms=int(timestamp * 1000) if timestamp else 0,
            headers=list(headers.items()) if isinstance(headers, dict) else headers,
        )
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        tp = faust_types.TP(topic, -1)
        future.set_result(RecordMetadata(topic, -1, tp, -1))
        return future

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> Any:
        """As `send`: a record in a transaction has no offset before its commit."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Nothing: the engine flushes before it commits."""

    def supports_headers(self) -> bool:
        """Kafka has headers."""
        return True

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `headrace topology apply` makes topics."""


class StageConductor(base.Conductor):
    """Faust's conductor, which here only knows which agent reads which topic."""

    def _flag_changes(self) -> None:
        """Nothing: stopping actors would flag a resubscription, which waits 45 s and holds up the stop."""


class NoFetcher(Service):
    """The engine fetches."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        del app
        super().__init__(**kwargs)


class StageTransport(base.Transport):
    """What `broker=headrace://` stands for."""

    Consumer = StageConsumer
    Producer = BatchProducer
    Conductor = StageConductor
    Fetcher = NoFetcher
    default_port = 9092
    driver_version = SCHEME


TRANSPORTS.aliases[SCHEME] = f"{__name__}:StageTransport"
