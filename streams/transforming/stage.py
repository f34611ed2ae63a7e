"""The transformer stage: one Faust agent a source topic, which converts batches and observes each hop.

Where a converter has to be awaited, messages of several keys are converted at once; those of one key keep their order.
"""

import time
from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import ExitStack

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.encryption import open_encryption
from streams.engine.retrying import policy_of
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError
from streams.messages.codec import Codec
from streams.messages.encryption import Encryption
from streams.messages.registry import Registry
from streams.routing.late_schemas import LateSchemas
from streams.security.key_ring import KeyRing, required_key_ring
from streams.telemetry import metrics
from streams.topology.integration import Transformation
from streams.topology.model import Topology
from streams.transforming.chains import HopTimes
from streams.transforming.conversions import Conversions
from streams.transforming.transformer import CompiledTransformer, Workshop

# Messages of a batch that are awaited at once. A batch has at most 500, and each may be a call that holds a connection.
CONCURRENCY = 16


def transformer_specs(topology: Topology) -> list[StageSpec]:
    """Stages of all transformations; those of one stage read their sources in one transaction."""
    by_stage: dict[str, list[Transformation]] = {}
    for transformation in topology.transformations:
        by_stage.setdefault(transformation.stage, []).append(transformation)
    return [
        _spec(stage, transformations).retrying(policy_of(topology.failures, stage))
        for stage, transformations in by_stage.items()
    ]


def transformer_stage(
    spec: StageSpec,
    topology: Topology,
    conversions: Conversions,
    open_registry: Callable[[], Registry],
    settings: Settings,
    *,
    web_enabled: bool = False,
) -> StageApp:
    """The Faust App of a transformer stage, with an agent for each of its sources.

    Args:
        spec: one of `transformer_specs`.
        topology: where its transformations, sources and destinations are declared; lint has passed it.
        conversions: every converter there is.
        open_registry: opens the registry; called once the cluster is there.
        settings: of this worker.
        web_enabled: whether this App hosts the process's web server.
    """
    transforming = Transforming(spec, topology, conversions, ring_of(spec, topology, settings))
    opened = ExitStack()  # of the last preparation; it ends with the process

    def prepare() -> None:
        opened.close()
        contracts = conversions.contracts
        encryption = opened.enter_context(open_encryption(settings, topology, contracts, stage=spec.name))
        registry = open_registry()
        try:
            transforming.compile(registry, encryption)
        except HeadraceError:  # it is tried again, with a registry of its own
            registry.close()
            raise

    app = StageApp(spec, settings, prepare=prepare, web_enabled=web_enabled)
    for source in spec.read_by_agents:
        _add_agent(app, source, transforming)
    return app


class Transforming:
    """The transformations of a stage, compiled when the registry can be read: before the stage joins its group."""

    def __init__(
        self, spec: StageSpec, topology: Topology, conversions: Conversions, ring: KeyRing | None = None
    ) -> None:
        self._transformations = [each for each in topology.transformations if each.stage == spec.name]
        self._ring = ring
        self._topology = topology
        self._conversions = conversions
        self.by_source: dict[str, CompiledTransformer] = {}

    def compile(self, registry: Registry, encryption: Encryption | None = None) -> None:
        """Fix and compile every path for what `registry` holds; it is asked again about ids that come later.

        Raises:
            NotReachable: the registry does not answer.
            ConfigurationRefused: a contract is not registered.
        """
        registered = registry.all()
        late = LateSchemas(registry, time.monotonic, registered)
        codec = Codec(self._conversions.contracts, registered, encryption)
        workshop = Workshop(self._topology, self._conversions, codec, registered, time.time, late.find, self._ring)
        for source in dict.fromkeys(each.source for each in self._transformations):
            own = [each for each in self._transformations if each.source == source]
            self.by_source[source] = workshop.compile(source, own)


def ring_of(spec: StageSpec, topology: Topology, settings: Settings) -> KeyRing | None:
    """The key ring, where a source's signatures are checked or a destination's messages signed."""
    signed = sorted({*spec.sources, *spec.destinations} & {*topology.security.signed})
    return (
        required_key_ring(settings, f"stage {spec.name}, with signed topics {', '.join(signed)},") if signed else None
    )


async def transform_batch(batch: Batch, compiled: CompiledTransformer, stage: str) -> None:
    """Convert all records of `batch`; `stage` names the hops' metrics."""
    times = HopTimes()
    if compiled.is_async:
        await batch.each_async(compiled.bind_async(batch, times), concurrency=CONCURRENCY)  # type: ignore[arg-type]  # as below
    else:
        batch.each(compiled.bind(batch, times))  # type: ignore[arg-type]  # the binding's types are wider than Kafka's
    _observe(batch, times, stage)


def _spec(stage: str, transformations: Sequence[Transformation]) -> StageSpec:
    return StageSpec(
        name=stage,
        sources=tuple(dict.fromkeys(each.source for each in transformations)),
        destinations=frozenset(each.destination for each in transformations),
    )


def _add_agent(app: StageApp, source: str, transforming: Transforming) -> None:
    async def transform(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            await transform_batch(batch, transforming.by_source[source], app.spec.name)

    app.agent(app.topic(source), name=f"transform.{source}")(transform)


def _observe(batch: Batch, times: HopTimes, stage: str) -> None:
    """Bring the hops' metrics up to date once the batch is committed.

    A conversion counts if its record's handling stood, a failure with every attempt.
    """
    stood = times.stood(batch.buried | batch.skipped)

    def committed(_at: float) -> None:
        for hop, seconds in stood.items():
            metrics.HOPS.labels(stage, hop).inc(len(seconds))
            metrics.HOP_SECONDS.labels(stage, hop).observe_many(seconds)
        for hop, failures in times.failures.items():
            metrics.HOP_FAILURES.labels(stage, hop).inc(failures)

    if times.made or times.failures:
        batch.after_commit(committed)
