"""Faust's streams and agents, but a batch is acknowledged only when the agent asks for the next one.

Stock Faust acknowledges an event whose agent raised, and stalls before it restarts the agent. Here a raise fails the
cycle, which is run again, and the agent goes on with a fresh coroutine on the same stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from inspect import isasyncgenfunction
from typing import Any, NoReturn

import faust
from faust.streams import maybe_async

from streams.engine.batch import Batch
from streams.engine.cycle import AgentFailed
from streams.errors import ConfigurationRefused


class BatchStream(faust.Stream):
    """Stream whose items are batches."""

    batch: Batch | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over batches; Faust's own iterator would acknowledge what the agent did not finish."""
        return self._batches()

    async def _batches(self) -> AsyncIterator[Any]:
        self._finalized = True
        await self.maybe_start()
        queue = self.channel.queue
        sensors = self.app.sensors
        while not self.should_stop:
            event = await queue.get()
            batch: Batch = event.value
            if batch.cycle.dead:
                batch.done = True
                continue  # left over from a cycle that was given up
            self._set_current_event(event)
            self.batch = batch
            message = event.message
            state = sensors.on_stream_event_in(message.tp, message.offset, self, event)
            value: Any = batch
            for processor in self._processors:
                value = await maybe_async(processor(value))
            yield value  # resumed only when the loop body has finished without raising
            self.batch = self.current_event = None
            sensors.on_stream_event_out(message.tp, message.offset, self, event, state)
            batch.finish()
            batch.cycle.acknowledge(batch)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """They acknowledge batches before the agent has finished them, or read and write behind the engine's back."""
        del args, kwargs
        raise ConfigurationRefused("a stream of batches knows only `async for batch in stream`")

    take = take_events = take_with_timestamp = noack_take = noack = _refuse
    filter = through = echo = group_by = combine = join = left_join = inner_join = outer_join = _refuse


class BatchAgent(faust.Agent):
    """Agent that survives its own exceptions: the cycle fails, not the process."""

    def __init__(self, *args: Any, concurrency: int = 1, isolated_partitions: bool = False, **kwargs: Any) -> None:
        if concurrency != 1 or isolated_partitions or kwargs.get("sink"):
            raise ConfigurationRefused(
                "an agent has one stream over all its partitions: no concurrency, isolated_partitions or sink"
            )
        super().__init__(*args, **kwargs)
        if isasyncgenfunction(self.fun):
            raise ConfigurationRefused(f"agent {self.name} yields; it sends with batch.send() or topic.send()")

    async def _execute_actor(self, coro: Awaitable[None], aref: Any) -> None:
        stream: BatchStream = aref.stream.get_active_stream()
        while True:
            try:
                await coro
            except asyncio.CancelledError:
                self._give_up(stream, "was cancelled", None)
                raise
            except Exception as error:  # noqa: BLE001 it fails the cycle, which names it
                held = self._give_up(stream, "raised", error)
            else:
                held = self._give_up(stream, "returned; it must loop over its stream for ever", None)
            if self.should_stop or stream.should_stop or self.app.should_stop:
                return
            if not held:  # no cycle would bound how often it is tried again
                await self.app.crash(ConfigurationRefused(f"agent {self.name} ended without a batch in hand"))
                return
            coro = self.fun(stream)

    def _give_up(self, stream: BatchStream, what: str, error: Exception | None) -> bool:
        """Fail the cycle whose batch the agent had in hand; False where it had none."""
        batch, stream.batch = stream.batch, None
        if batch is not None:
            batch.done = True
            first, last = batch.records[0].offset(), batch.records[-1].offset()
            where = f"{batch.topic}/{batch.partition}@{first}..{last}"
            message = f"agent {self.name} {what} outside any record's handling, at {where}"
            batch.cycle.fail(AgentFailed("agent", message, error))
        return batch is not None
