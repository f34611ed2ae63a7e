"""The stages of calls: one Faust agent a source, which asks the peer for several intents at once."""

import time
from collections.abc import AsyncIterable, Callable
from datetime import UTC, datetime

import orjson
from confluent_kafka import Message

from streams.calls.breaker import CircuitBreaker
from streams.calls.client import Caller, Peer
from streams.calls.intents import carried_by, result_topics, results_of, stage_of, ways_of
from streams.calls.outcomes import Outcome, answered_fields
from streams.calls.results import MakeCommand, compile_result
from streams.calls.timing import timing_of
from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.concurrency import RecordScope
from streams.engine.retrying import policy_of
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError, InvalidMessage, UnreadableHeaders
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts
from streams.messages.json_values import to_json
from streams.messages.message import Record
from streams.messages.registry import Registry
from streams.routing.late_schemas import LateSchemas
from streams.topology.integration import Call
from streams.topology.model import Topology
from streams.topology.operations import SECOND_MS
from streams.transforming.reading import Arrived, MessageReader

_WITHOUT_BODY = frozenset({"GET", "DELETE"})  # RFC 9110 gives a body of theirs no meaning
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


def call_specs(topology: Topology) -> list[StageSpec]:
    """Stages of all calls."""
    return [_spec(call, topology) for call in topology.calls]


def call_stage(
    spec: StageSpec,
    topology: Topology,
    contracts: Contracts,
    open_registry: Callable[[], Registry],
    settings: Settings,
    *,
    web_enabled: bool = False,
) -> StageApp:
    """The Faust App of a call, with an agent for each of its sources.

    Args:
        spec: one of `call_specs`.
        topology: where the call and its topics are declared; lint has passed it.
        contracts: the newest version of each.
        open_registry: opens the registry; called once the cluster is there.
        settings: of this worker.
        web_enabled: whether this App hosts the process's web server.
    """
    call = next(each for each in topology.calls if stage_of(each) == spec.name)
    calling = Calling(call, topology, contracts)

    def prepare() -> None:
        registry = open_registry()
        try:
            calling.compile(registry, spec.read_by_agents)
        except HeadraceError:  # it is tried again, with a registry of its own
            registry.close()
            raise

    app = StageApp(spec, settings, prepare=prepare, web_enabled=web_enabled)
    for source in spec.read_by_agents:
        _add_agent(app, source, calling)
    return app


class Calling:
    """One call, compiled when the registry can be read: before the stage joins its group."""

    def __init__(self, call: Call, topology: Topology, contracts: Contracts) -> None:
        self.call = call
        self.caller = _caller(call)
        self.timing = timing_of(call)
        self._topology = topology
        self._contracts = contracts
        self._intent = contracts[call.on].name.encode()
        self._readers: dict[str, MessageReader] = {}
        self._commands: dict[Outcome, MakeCommand] = {}

    def compile(self, registry: Registry, sources: tuple[str, ...]) -> None:
        """Compile readers and commands for what `registry` holds; it is asked again about ids that come later.

        Raises:
            NotReachable: the registry does not answer.
            ConfigurationRefused: a contract is not registered as it stands.
        """
        registered = registry.all()
        late = LateSchemas(registry, time.monotonic, registered)
        codec = Codec(self._contracts, registered)
        succeeds, fails = (
            compile_result(stage_of(self.call), self._contracts[command], codec, self._topology)
            for command in results_of(self.call)
        )
        self._commands = {Outcome.SUCCEEDED: succeeds, Outcome.FAILED: fails}
        for source in sources:
            carried = carried_by(source, self.call, self._topology, self._contracts)
            self._readers[source] = MessageReader(source, carried, self._contracts, registered, late.find)

    def intent_of(self, record: Record, source: str) -> Arrived | None:
        """The intent that a record is; None of what this call is not for.

        Raises:
            InvalidMessage, MessageExpired: it is one that cannot be read or came too late.
        """
        try:
            headers = dict(record.headers() or ())
        except (UnicodeDecodeError, SystemError) as error:  # which of them, the binding leaves to chance
            raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
        if headers.get(names.TYPE, self._intent) != self._intent:
            return None
        if record.value() is None and source not in self._topology.topics:
            return None  # an erased event
        arrived = self._readers[source].read(record, time.time())
        return arrived if arrived.ce_type.encode() == self._intent else None

    async def make(self, record: Message, scope: RecordScope, source: str) -> None:
        """Ask the peer for one record, and send the command that says what came of it.

        Raises:
            RecordError: of what category, the failure policy asks.
        """
        intent = self.intent_of(record, source)  # type: ignore[arg-type]  # the binding's types are wider than Kafka's
        if intent is None:
            return
        answer = await self.caller.ask(self._body(intent), self._headers(intent))
        make = self._commands[answer.outcome]
        command = make(intent, answered_fields(answer), record.key(), datetime.now(UTC))
        name = results_of(self.call)[answer.outcome is Outcome.FAILED]
        (destination,) = result_topics(name, source, self._topology)
        scope.send(destination, command.value, command.key, headers=command.headers)

    def _body(self, intent: Arrived) -> bytes | None:
        return None if self.call.request.method in _WITHOUT_BODY else orjson.dumps(to_json(intent.payload))

    def _headers(self, intent: Arrived) -> dict[str, str]:
        idempotency = self.call.request.idempotency_header
        carried = {names.ID: idempotency, names.TRACEPARENT: names.TRACEPARENT, names.TRACESTATE: names.TRACESTATE}
        texts = {name: value.decode() for name in carried if (value := intent.headers.get(name))}
        for name, text in texts.items():
            if not text.isprintable():
                raise InvalidMessage(f"header {name}: expected text that HTTP can carry, got {text[:60]!r}")
        return _JSON | {carried[name]: text for name, text in texts.items()}


def _spec(call: Call, topology: Topology) -> StageSpec:
    stage = stage_of(call)
    sources, results = ways_of(call, topology)
    spec = StageSpec(name=stage, sources=sources, destinations=frozenset(results))
    return spec.retrying(policy_of(topology.failures, stage))


def _caller(call: Call) -> Caller:
    request = call.request
    peer = Peer(request.method, call.url.rstrip("/") + request.path, f"{request.method} {request.path}")
    breaker = CircuitBreaker(call.circuit_breaker.failures, call.circuit_breaker.reset / SECOND_MS)
    return Caller(stage_of(call), peer, timing_of(call), call.retries, breaker)


def _add_agent(app: StageApp, source: str, calling: Calling) -> None:
    async def call(batches: AsyncIterable[Batch]) -> None:
        async def handle(record: Message, scope: RecordScope) -> None:
            await calling.make(record, scope, source)

        async with calling.caller:
            async for batch in batches:
                await batch.each_async(handle, concurrency=calling.call.concurrency, within_s=calling.timing.begin_s)

    app.agent(app.topic(source), name=f"call.{source}")(call)
