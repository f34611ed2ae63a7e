"""Stages for tests: their topics on a real broker, records into them, what came out, and a stage in a thread."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import ConsumerGroupTopicPartitions, Message, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from streams.config import Settings
from streams.dev.readiness import admin_client, await_condition
from streams.engine.app import StageApp
from streams.engine.group_offsets import committed_offsets
from streams.engine.hosting import Stages
from streams.engine.raw_producer import RawProducer
from streams.engine.stage import StageSpec
from streams.engine.topic_reader import Isolation, read_topics
from streams.topology.desired import GROUP_CONFIGS

WAIT_S = 30.0
OnApp = Callable[[StageApp], None]


@dataclass(frozen=True)
class Bench:
    """A stage's topics on the broker, made for one test."""

    spec: StageSpec
    settings: Settings
    admin: AdminClient
    partitions: int

    @property
    def out(self) -> str:
        (only,) = self.spec.destinations
        return only

    # -- what goes in

    def produce(self, records: Iterable[tuple[bytes | None, bytes | None]], topic: str = "") -> None:
        """(key, value) pairs into a source, the lead if none is named."""
        with RawProducer(self.settings, linger_ms=1) as producer:
            for key, value in records:
                producer.send(topic or self.spec.lead, value, key, timestamp_ms=0, headers=[])

    # -- what came out

    def read(self, topic: str, isolation: Isolation = "read_committed") -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend, isolation, timeout_s=WAIT_S)
        return found

    def outputs(self) -> dict[bytes, list[bytes]]:
        """Values of the destination by key, in order."""
        return by_key(self.read(self.out))

    def letters(self) -> list["Letter"]:
        return [Letter.of(message) for message in self.read(self.spec.dead_letters)]

    def changelog(self, table: str = "counts") -> dict[bytes, Any]:
        """Rows of a table as its changelog tells them."""
        rows: dict[bytes, Any] = {}
        for message in self.read(self.spec.changelog(table)):
            key, value = message.key() or b"", message.value()
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = orjson.loads(value)
        return rows

    # -- how far it is

    def committed(self) -> dict[tuple[str, int], int]:
        asked = [(topic, p) for topic in self.spec.sources for p in range(self.partitions)]
        return committed_offsets(self.settings.kafka_config(), self.spec.group, asked)

    def ends(self) -> dict[tuple[str, int], int]:
        asked = [TopicPartition(topic, p) for topic in self.spec.sources for p in range(self.partitions)]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        # A new client: after a broker's restart the old one asks with a leader's old epoch for ever.
        admin = admin_client(self.settings.bootstrap_servers())
        futures = admin.list_offsets(dict.fromkeys(asked, latest))
        return {(p.topic, p.partition): future.result(10).offset for p, future in futures.items()}

    def await_first_commit(self) -> None:
        await_condition(lambda: sum(self.committed().values()) > 0, WAIT_S, f"a first commit of {self.spec.name}")

    def await_all_committed(self, timeout_s: float = WAIT_S) -> None:
        await_condition(lambda: self.committed() == self.ends(), timeout_s, f"{self.spec.name} to commit everything")


@dataclass(frozen=True)
class Letter:
    """A dead letter; headers as text."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, message: Message) -> "Letter":
        consumed: list[tuple[str, bytes | None]] = list(message.headers() or ())  # type: ignore[arg-type]  # never a dict
        headers = {name: (value or b"").decode() for name, value in consumed}
        return cls(message.key(), message.value(), headers)

    @property
    def category(self) -> str:
        return self.headers["headrace-category"]

    @property
    def exception(self) -> str:
        return self.headers["__streams.errors.exception"]

    @property
    def origin(self) -> tuple[str, int, int]:
        named = self.headers
        prefix = "__streams.errors."
        return named[prefix + "topic"], int(named[prefix + "partition"]), int(named[prefix + "offset"])


def by_key(messages: Sequence[Message]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for message in messages:
        found.setdefault(message.key() or b"", []).append(message.value() or b"")
    return found


class RunningStage:
    """Stages on an event loop in a thread, as `headrace worker` runs them but for signals."""

    def __init__(self, apps: Sequence[StageApp]) -> None:
        self.apps = list(apps)
        self.stages: Stages | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="stages", daemon=True)
        self._stop: asyncio.Event | None = None
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.stages = stages = Stages(self.apps)
        await stages.start()
        stopped, crashed = (asyncio.ensure_future(w.wait()) for w in (self._stop, stages._crashed))
        await asyncio.wait({stopped, crashed}, return_when=asyncio.FIRST_COMPLETED)
        await stages.stop()
        for task in (stopped, crashed):
            task.cancel()

    @property
    def app(self) -> StageApp:
        return self.apps[0]

    @property
    def failure(self) -> BaseException | None:
        return self.stages.failure if self.stages is not None else None

    def await_state(self, state: str, timeout_s: float = WAIT_S) -> None:
        def reached() -> bool:
            return all(app.status().state == state for app in self.apps)

        await_condition(reached, timeout_s, f"{[app.status() for app in self.apps]} to be {state}")

    def await_failure(self, timeout_s: float = WAIT_S) -> str:
        """Wait until the stage has stopped by itself; the line that it stopped with."""
        await_condition(lambda: self.failure is not None, timeout_s, f"a failure of {self.app.status()}")
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()
        return str(self.failure)

    def call(self, coroutine: Any, timeout_s: float = WAIT_S) -> Any:
        """Result of a coroutine on the stages' event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def stop(self, timeout_s: float = WAIT_S) -> None:
        """Stop as SIGTERM would; refuses to hang."""
        end = time.monotonic() + timeout_s
        while (self._loop is None or self._stop is None) and time.monotonic() < end:
            time.sleep(0.01)
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(max(end - time.monotonic(), 0.1))
        assert not self._thread.is_alive(), "the stages did not stop"


@contextmanager
def running(*apps: StageApp) -> Iterator[RunningStage]:
    stage = RunningStage(apps)
    try:
        yield stage
    finally:
        stage.stop()


def make_topics(admin: AdminClient, topics: Sequence[NewTopic]) -> None:
    for future in admin.create_topics(list(topics)).values():
        future.result(WAIT_S)
    names = {topic.topic for topic in topics}

    def lead() -> bool:
        known = admin.list_topics(timeout=5).topics
        return names <= known.keys() and all(
            partition.leader >= 0 for name in names for partition in known[name].partitions.values()
        )

    await_condition(lead, WAIT_S, f"leaders of {sorted(names)}")


def configure_group(admin: AdminClient, group: str) -> None:
    """Give a KIP-848 group its heartbeats, as `headrace topology apply` does: the broker's default is five seconds."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in GROUP_CONFIGS.items()
    ]
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(WAIT_S)


def preset_offsets(admin: AdminClient, group: str, offsets: Sequence[TopicPartition]) -> None:
    """Give a group offsets, as `headrace topology apply` does."""

    def done() -> bool:
        futures = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, list(offsets))])
        return all(p.error is None for p in futures[group].result(10).topic_partitions)

    await_condition(done, WAIT_S, f"offsets of {group}")
