"""The stages of calls: one Faust agent a source, which asks the peer for several intents at once."""

import time
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack
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
from streams.engine.encryption import open_encryption
from streams.engine.retrying import policy_of
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError, InvalidMessage, UnreadableHeaders
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts
from streams.messages.encryption import Encryption
from streams.messages.json_values import to_json
from streams.messages.message import Record
from streams.messages.registry import Registry
from streams.routing.late_schemas import LateSchemas
from streams.security.key_ring import KeyRing
from streams.topology.integration import Call
from streams.topology.model import Topology
from streams.topology.operations import SECOND_MS
from streams.transforming.making import check_for, signer_for
from streams.transforming.reading import Arrived, MessageReader
from streams.transforming.stage import ring_of

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
    calling = Calling(call, topology, contracts, ring_of(spec, topology, settings))
    made = [contracts[command] for command in results_of(call)]
    opened = ExitStack()  # of the last preparation; it ends with the process

    def prepare() -> None:
        opened.close()
        encryption = open_encryption(settings, topology, contracts, stage=spec.name, makes=made)
        entered = opened.enter_context(encryption)
        registry = open_registry()
        try:
            calling.compile(registry, spec.read_by_agents, entered)
        except HeadraceError:  # it is tried again, with a registry of its own
            registry.close()
            raise

    app = StageApp(spec, settings, prepare=prepare, web_enabled=web_enabled)
    for source in spec.read_by_agents:
        _add_agent(app, source, calling)
    return app


class Calling:
    """One call, compiled when the registry can be read: before the stage joins its group."""

    def __init__(self, call: Call, topology: Topology, contracts: Contracts, ring: KeyRing | None = None) -> None:
        self.call = call
        self.caller = _caller(call)
        self.timing = timing_of(call)
        self._topology = topology
        self._contracts = contracts
        self._ring = ring
        self._intent = contracts[call.on].name.encode()
        self._readers: dict[str, MessageReader] = {}
        self._results: dict[tuple[str, Outcome], tuple[str, MakeCommand]] = {}

    def compile(self, registry: Registry, sources: tuple[str, ...], encryption: Encryption | None = None) -> None:
        """Compile readers and commands for what `registry` holds; it is asked again about ids that come later.

        Raises:
            NotReachable: the registry does not answer.
            ConfigurationRefused: a contract is not registered as it stands.
        """
        registered = registry.all()
        late = LateSchemas(registry, time.monotonic, registered)
        codec = Codec(self._contracts, registered, encryption)
        for source in sources:
            carried = carried_by(source, self.call, self._topology, self._contracts)
            check = check_for(source, self._topology, self._ring)
            self._readers[source] = MessageReader(source, carried, codec, registered, late.find, check)
            for outcome, command in zip((Outcome.SUCCEEDED, Outcome.FAILED), results_of(self.call), strict=True):
                self._results[source, outcome] = self._result(source, command, codec)

    def _result(self, source: str, command: str, codec: Codec) -> tuple[str, MakeCommand]:
        """Where a result of an intent from `source` goes, and what makes it."""
        (destination,) = result_topics(command, source, self._topology)
        signer = signer_for(destination, self._topology, self._ring)
        intent, contract = self._contracts[self.call.on], self._contracts[command]
        return destination, compile_result(stage_of(self.call), intent, contract, codec, self._topology, signer)

    def intent_of(self, record: Record, source: str) -> Arrived | None:
        """The intent that a record is; None of what this call is not for.

        Raises:
            InvalidMessage, MessageExpired: it is one that cannot be read or came too late.
        """
        reader = self._readers[source]
        reader.verify(record)  # before its headers are believed
        try:
            headers = dict(record.headers() or ())
        except (UnicodeDecodeError, SystemError) as error:  # which of them, the binding leaves to chance
            raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
        if headers.get(names.TYPE, self._intent) != self._intent:
            return None
        if record.value() is None and source not in self._topology.topics:
            return None  # an erased event
        arrived = reader.read(record, time.time())
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
        destination, make = self._results[source, answer.outcome]
        command = make(intent, answered_fields(answer), record.key(), datetime.now(UTC))
        scope.send(destination, command.value, command.key, headers=[*command.headers])

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
