"""Names of faust-streaming and mode that the engine uses or overrides: fails when a new version changes one.

Faust promises nothing about them, so an upgrade is made by reading what this test says, not by hope.
"""

import inspect
from typing import Any

import faust
import pytest
from faust import streams as faust_streams
from faust.agents import Agent
from faust.agents.actor import Actor
from faust.app.base import App
from faust.channels import Channel
from faust.events import Event
from faust.sensors import SensorDelegate
from faust.transport.base import Conductor, Transport
from faust.transport.drivers import TRANSPORTS
from faust.transport.producer import Producer
from faust.types import TP, Message, RecordMetadata
from faust.types.assignor import PartitionAssignorT
from faust.types.tables import TableManagerT
from faust.types.transports import ConsumerT
from mode import Service, Worker
from mode.services import ServiceTask
from mode.utils.queues import FlowControlEvent, FlowControlQueue

from streams.config import Settings
from streams.engine.agents import BatchAgent, BatchStream
from streams.engine.app import GroupAssignor, StageApp
from streams.engine.faust_tables import StageTable, StageTables
from streams.engine.hosting import Stages, StageWorker
from streams.engine.stage import StageSpec
from streams.engine.transport import (
    SCHEME,
    BatchProducer,
    NoFetcher,
    StageConductor,
    StageConsumer,
    StageTransport,
)

# Methods of Faust and mode that we call or replace, with the parameters that we count on.
METHODS: list[tuple[Any, str, list[str]]] = [
    (App, "_stop_consumer", ["self"]),
    (App, "_create_directories", ["self"]),
    (App, "crash", ["self", "reason"]),
    (Agent, "_execute_actor", ["self", "coro", "aref"]),
    (Conductor, "_flag_changes", ["self"]),
    (Conductor, "_update_indices", ["self"]),
    (faust_streams.Stream, "_set_current_event", ["self", "event"]),
    (faust_streams.Stream, "get_active_stream", ["self"]),
    (faust_streams.Stream, "__aiter__", ["self"]),
    (Service, "maybe_start", ["self"]),
    (Service, "wait_until_stopped", ["self"]),
    (Service, "add_future", ["self", "coro"]),
    (Service, "on_start", ["self"]),
    (Service, "on_stop", ["self"]),
    (Worker, "install_signal_handlers", ["self"]),
    (Worker, "_sentinel_task", ["self"]),
    (Worker, "execute_from_commandline", ["self"]),
    (FlowControlEvent, "resume", ["self"]),
    (FlowControlQueue, "put_nowait", ["self", "item"]),
    (SensorDelegate, "on_stream_event_in", ["self", "tp", "offset", "stream", "event"]),
    (SensorDelegate, "on_stream_event_out", ["self", "tp", "offset", "stream", "event", "state"]),
    (faust_streams, "maybe_async", ["res"]),
    (faust_streams, "current_event", []),
    (Event, "__init__", ["self", "app", "key", "value", "headers", "message"]),
]
# What we make by position.
MESSAGE = [
    "topic", "partition", "offset", "timestamp", "timestamp_type", "headers", "key", "value", "checksum",
    "serialized_key_size", "serialized_value_size", "tp",
]  # fmt: skip
OURS: dict[type, type] = {
    StageApp: App,
    BatchAgent: Agent,
    BatchStream: faust_streams.Stream,
    StageTable: faust.Table,
    StageTables: TableManagerT,
    StageConsumer: ConsumerT,
    BatchProducer: Producer,
    StageConductor: Conductor,
    StageTransport: Transport,
    NoFetcher: Service,
    GroupAssignor: PartitionAssignorT,
    Stages: Service,
    StageWorker: Worker,
}


def parameters(of: Any) -> list[str]:
    return list(inspect.signature(of).parameters)


def is_async(of: Any) -> bool:
    return inspect.iscoroutinefunction(of) or inspect.isasyncgenfunction(of)


def defined_above(ours: type, name: str) -> Any:
    return next((vars(base)[name] for base in ours.__mro__[1:] if name in vars(base)), None)


@pytest.mark.parametrize(("owner", "name", "expected"), METHODS, ids=[f"{o.__name__}.{n}" for o, n, _ in METHODS])
def test_a_method_that_we_use_is_there_and_takes_what_we_give(owner: Any, name: str, expected: list[str]) -> None:
    found = parameters(getattr(owner, name))
    assert found[: len(expected)] == expected
    needless = inspect.signature(getattr(owner, name)).parameters
    more = [needless[each] for each in found[len(expected) :]]
    assert all(each.default is not each.empty or each.kind in {each.VAR_KEYWORD, each.VAR_POSITIONAL} for each in more)


def test_a_message_and_its_metadata_are_made_as_before() -> None:
    assert parameters(Message.__init__)[1 : 1 + len(MESSAGE)] == MESSAGE
    assert RecordMetadata._fields[:4] == ("topic", "partition", "topic_partition", "offset")
    assert TP._fields == ("topic", "partition")


@pytest.mark.parametrize("ours", OURS, ids=lambda cls: cls.__name__)
def test_what_we_derive_from_is_still_the_base(ours: type) -> None:
    assert issubclass(ours, OURS[ours])
    assert not getattr(ours, "__abstractmethods__", None)


@pytest.mark.parametrize("ours", OURS, ids=lambda cls: cls.__name__)
def test_what_we_override_can_be_called_as_faust_calls_it(ours: type) -> None:
    for name, method in vars(ours).items():
        inherited = defined_above(ours, name)
        if name == "__init__" or not inspect.isfunction(method) or not inspect.isfunction(inherited):
            continue
        theirs = [p for p in inspect.signature(inherited).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        own = inspect.signature(method).parameters
        if any(p.kind is p.VAR_POSITIONAL for p in own.values()):
            continue
        assert list(own)[: len(theirs)] == [p.name for p in theirs], f"{ours.__name__}.{name}"
        assert is_async(inherited) == is_async(method), f"{ours.__name__}.{name}: async or not"


@pytest.mark.parametrize("ours", OURS, ids=lambda cls: cls.__name__)
def test_no_plain_method_replaces_an_inherited_task(ours: type) -> None:
    """mode would still schedule the inherited task, by the name of ours, and await what is no coroutine of its kind."""
    replaced = [
        name
        for name, value in vars(ours).items()
        if isinstance(defined_above(ours, name), ServiceTask) and not isinstance(value, ServiceTask)
    ]
    assert replaced == []


def test_the_privates_that_we_override_exist_above() -> None:
    for ours, name in (
        (StageApp, "_stop_consumer"),
        (StageApp, "_create_directories"),
        (BatchAgent, "_execute_actor"),
        (StageConductor, "_flag_changes"),
        (StageWorker, "install_signal_handlers"),
    ):
        assert name in vars(ours)
        assert defined_above(ours, name) is not None


def test_an_app_is_put_together_from_our_classes(settings_offline: Settings) -> None:
    app = StageApp(StageSpec("names", ("orders",)), settings_offline)
    agent = app.agent(app.topic("orders"))(_agent)
    assert type(agent) is BatchAgent
    assert type(app.transport) is StageTransport
    assert type(app.topics) is StageConductor
    assert type(app.consumer) is StageConsumer
    assert type(app.producer) is BatchProducer
    assert type(app.tables) is StageTables
    assert type(app.assignor) is GroupAssignor
    assert type(app.Table("counts")) is StageTable
    assert TRANSPORTS.aliases[SCHEME] == "streams.engine.transport:StageTransport"


def test_the_attributes_that_the_engine_reaches_for_exist(settings_offline: Settings) -> None:
    app = StageApp(StageSpec("names", ("orders",)), settings_offline)
    topic = app.topic("orders")
    stream = app.stream(topic)
    assert isinstance(stream, BatchStream)
    assert isinstance(topic, Channel)
    assert app.topics._topic_name_index == {}
    assert isinstance(topic.queue, FlowControlQueue)
    assert stream.channel is not None
    assert stream._processors == []
    assert app._consumer is None
    assert app.crash_reason is None
    assert app.should_stop is False
    assert callable(app.beacon.reattach)
    assert not app.flow_control.is_active()  # suspended when an App is made: the engine resumes it
    assert "stream" in parameters(Actor.__init__)
    assert app.agent(topic)(_agent).fun is _agent


def test_a_stream_is_iterated_by_us_not_by_fausts_cython() -> None:
    assert vars(BatchStream)["__aiter__"] is not defined_above(BatchStream, "__aiter__")


async def _agent(batches: Any) -> None:
    async for _batch in batches:
        pass


@pytest.fixture
def settings_offline(tmp_path: Any) -> Settings:
    return Settings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", HEADRACE_STATE_DIR=tmp_path, HEADRACE_INSTANCE_ID="w1")
