"""The router stage: one Faust agent a router, and the table `routes` that counts what each route sent on.

A row of `routes` lives where its messages came from: key `<route>:<topic>:<partition>`, value `{"count",
"last_message_id", "last_message_time"}`. It is written once a batch and route, in the transaction that sends the
messages, so the table equals a recount of the destinations whatever happens on the way.
"""

import time
from collections import defaultdict
from collections.abc import AsyncIterable, Callable, Sequence

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.retrying import policy_of
from streams.engine.stage import StageSpec, TableSpec
from streams.errors import HeadraceError
from streams.messages import headers as names
from streams.messages.contracts import Contracts
from streams.messages.message import Record
from streams.messages.registry import Registry
from streams.messages.signed import CheckRecord, check_signatures
from streams.routing.late_schemas import LateSchemas
from streams.routing.router import CompiledRouter, Matched, compile_router
from streams.routing.sources import contracts_of
from streams.security.key_ring import required_key_ring
from streams.security.signatures import Verifier
from streams.telemetry import metrics
from streams.topology.model import Monitoring, Router, Topology

ROUTES_TABLE = TableSpec("routes", by="source")


def router_specs(topology: Topology) -> list[StageSpec]:
    """Stages of all routers; the routers of one stage read their sources in one transaction."""
    by_stage: dict[str, list[Router]] = {}
    for router in topology.routers:
        by_stage.setdefault(router.stage, []).append(router)
    return [_spec(stage, routers).retrying(policy_of(topology.failures, stage)) for stage, routers in by_stage.items()]


def router_stage(
    spec: StageSpec,
    topology: Topology,
    contracts: Contracts,
    open_registry: Callable[[], Registry],
    settings: Settings,
    *,
    web_enabled: bool = False,
) -> StageApp:
    """The Faust App of a router stage, with an agent for each of its routers.

    Args:
        spec: one of `router_specs`.
        topology: where its routers, sources and destinations are declared; lint has passed it.
        contracts: the newest version of each.
        open_registry: opens the registry; called once the cluster is there.
        settings: of this worker.
        web_enabled: whether this App hosts the process's web server.

    Raises:
        UsageError: a source carries signed messages only, and there is no key ring to check them with.
    """
    routers = [each for each in topology.routers if each.stage == spec.name]
    routing = Routing(routers, topology, contracts, _signature_check(routers, topology, settings))

    def prepare() -> None:
        registry = open_registry()
        try:
            routing.compile(registry)
        except HeadraceError:  # it is tried again, with a registry of its own
            registry.close()
            raise

    app = StageApp(spec, settings, prepare=prepare, web_enabled=web_enabled)
    for source in spec.read_by_agents:
        _add_agent(app, source, routing)
    return app


class Routing:
    """The routers of a stage, compiled when the registry can be read: before the stage joins its group."""

    def __init__(
        self, routers: Sequence[Router], topology: Topology, contracts: Contracts, check: CheckRecord | None = None
    ) -> None:
        self._routers = routers
        self._topology = topology
        self._contracts = contracts
        self._check = check
        self.by_source: dict[str, CompiledRouter] = {}

    def compile(self, registry: Registry) -> None:
        """Compile every router for what `registry` holds; it is asked again about ids that come later.

        Raises:
            NotReachable: the registry does not answer.
            ConfigurationRefused: it lacks ids that are in use.
        """
        registered = registry.all()
        late = LateSchemas(registry, time.monotonic, registered)
        for router in self._routers:
            carried = contracts_of(router.source, self._topology, self._contracts)
            check = self._check if router.source in self._topology.security.signed else None
            self.by_source[router.source] = compile_router(
                router, carried, self._contracts, registered, time.time, late.find, check
            )


def route_batch(batch: Batch, compiled: CompiledRouter) -> None:
    """Route all records of `batch`, then count those whose handling stood."""
    matched: Matched = defaultdict(list)
    batch.each(compiled.bind(batch, matched))  # type: ignore[arg-type]  # the binding's types are wider than Kafka's
    stood = _stood(batch, matched)
    rows = batch.state(ROUTES_TABLE.name)
    for route, records in stood.items():
        key = f"{route}:{batch.topic}:{batch.partition}".encode()
        before = rows.get(key, {"count": 0})
        attributes = compiled.attributes(max(records, key=_offset))
        rows.set(
            key,
            {
                "count": before["count"] + len(records),
                "last_message_id": (attributes[names.ID] or b"").decode(),
                "last_message_time": (attributes[names.TIME] or b"").decode(),
            },
        )
    _observe(batch, stood, compiled)


def _spec(stage: str, routers: Sequence[Router]) -> StageSpec:
    destinations = {each.topic for router in routers for route in router.routes for each in route.destinations}
    destinations |= {router.unmatched for router in routers} - {"deadletter", "drop"}
    return StageSpec(
        name=stage,
        sources=tuple(dict.fromkeys(router.source for router in routers)),
        tables=(ROUTES_TABLE,),
        destinations=frozenset(destinations),
    )


def _signature_check(routers: Sequence[Router], topology: Topology, settings: Settings) -> CheckRecord | None:
    signed = sorted({router.source for router in routers} & {*topology.security.signed})
    if not signed:
        return None
    ring = required_key_ring(settings, f"checking the signatures of {', '.join(signed)}")
    return check_signatures(Verifier(ring))


def _add_agent(app: StageApp, source: str, routing: Routing) -> None:
    async def route(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            route_batch(batch, routing.by_source[source])

    app.agent(app.topic(source), name=f"route.{source}")(route)


def _stood(batch: Batch, matched: Matched) -> dict[str, list[Record]]:
    """Records by route, without those that became dead letters after all: the broker refused what they sent."""
    buried = batch.buried | batch.skipped
    stood: dict[str, list[Record]] = {}
    for outcome, records in matched.items():
        kept = [record for record in records if record.offset() not in buried] if buried else records
        for route in outcome.routes if kept else ():
            stood.setdefault(route, []).extend(kept)
    return stood


def _observe(batch: Batch, stood: dict[str, list[Record]], compiled: CompiledRouter) -> None:
    """Bring the route metrics up to date once the batch is committed."""
    counts = {route: len(records) for route, records in stood.items()}
    sent_at = {
        route: [sent_ms / 1000 for sent_ms in map(_timestamp_ms, records) if sent_ms > 0]
        for route, records in stood.items()
        if compiled.monitoring[route].track_latency
    }
    failures = _failures(batch, compiled.monitoring)
    if not counts and not failures:
        return

    def committed(at: float) -> None:
        for route, count in counts.items():
            metrics.ROUTED.labels(route).inc(count)
        for route, sent in sent_at.items():
            metrics.ROUTE_LATENCY.labels(route).observe_many([at - each for each in sent])
        for route, count in failures.items():
            metrics.ROUTE_FAILURES.labels(route).inc(count)

    batch.after_commit(committed)


def _offset(record: Record) -> int:
    return record.offset() or 0


def _timestamp_ms(record: Record) -> int:
    return record.timestamp()[1]


def _failures(batch: Batch, monitoring: dict[str, Monitoring]) -> dict[str, int]:
    failed: dict[str, int] = {}
    for (_, route), count in batch.failures.items():
        if route is not None and monitoring[route].alert_on_failure:
            failed[route] = failed.get(route, 0) + count
    return failed
