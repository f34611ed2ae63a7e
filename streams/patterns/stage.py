"""The stages of patterns: `patterns.<name>`, each with one source, one destination and one agent."""

import time
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.batch import Batch
from streams.engine.encryption import open_encryption
from streams.engine.retrying import policy_of
from streams.engine.stage import StageSpec, TableSpec
from streams.errors import HeadraceError
from streams.messages.contracts import Contracts
from streams.messages.message import Record
from streams.messages.registry import Registry
from streams.messages.signed import CheckRecord
from streams.patterns import idempotent_receiver
from streams.patterns.groups import Groups
from streams.patterns.passing import compile_pass, raw_headers
from streams.patterns.workshop import Workshop, open_workshop
from streams.telemetry import metrics
from streams.topology.integration import Aggregator, IdempotentReceiver, Pattern, Splitter
from streams.topology.model import Topology
from streams.transforming.making import check_for
from streams.transforming.stage import ring_of

GROUPS_TABLE = TableSpec("groups", by="source")
IDS_TABLE = TableSpec("ids", by="source")
# Where the destination does not say how large a message may be: Kafka's default, less what headers take.
MOST_GROUP_BYTES = 900_000

RunBatch = Callable[[Batch], None]


def stage_of(pattern: Pattern) -> str:
    """The stage that runs a pattern."""
    return f"patterns.{pattern.name}"


def pattern_specs(topology: Topology) -> list[StageSpec]:
    """Stages of all patterns."""
    return [
        StageSpec(
            name=stage_of(pattern),
            sources=(pattern.source,),
            tables=_tables(pattern),
            destinations=frozenset({pattern.destination}),
        ).retrying(policy_of(topology.failures, stage_of(pattern)))
        for pattern in topology.patterns
    ]


def pattern_stage(
    spec: StageSpec,
    topology: Topology,
    contracts: Contracts,
    open_registry: Callable[[], Registry],
    settings: Settings,
    *,
    web_enabled: bool = False,
) -> StageApp:
    """The Faust App of a pattern.

    Args:
        spec: one of `pattern_specs`.
        topology: where it and its topics are declared; lint has passed it.
        contracts: the newest version of each.
        open_registry: opens the registry; called once the cluster is there.
        settings: of this worker.
        web_enabled: whether this App hosts the process's web server.
    """
    pattern = next(each for each in topology.patterns if stage_of(each) == spec.name)
    ring = ring_of(spec, topology, settings)
    running = Running(pattern, topology, check_for(pattern.source, topology, ring))
    opened = ExitStack()  # of the last preparation; it ends with the process

    def prepare() -> None:
        if not isinstance(pattern, Splitter | Aggregator):
            return  # it passes records on as they are
        opened.close()
        makes = [contracts[pattern.to]]
        encryption = opened.enter_context(open_encryption(settings, topology, contracts, stage=spec.name, makes=makes))
        registry = open_registry()
        try:
            running.compile(open_workshop(topology, contracts, registry, encryption, ring))
        except HeadraceError:  # it is tried again, with a registry of its own
            registry.close()
            raise

    app = StageApp(spec, settings, prepare=prepare, web_enabled=web_enabled)

    async def run(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            running.run(batch)

    app.agent(app.topic(pattern.source), name=f"pattern.{pattern.name}")(run)
    return app


class Running:
    """One pattern; a splitter and an aggregator are compiled when the registry can be read."""

    def __init__(self, pattern: Pattern, topology: Topology, check: CheckRecord | None = None) -> None:
        self._pattern = pattern
        self._check = check
        self._topology = topology
        self.run: RunBatch = self._receive if isinstance(pattern, IdempotentReceiver) else self._tap

    def compile(self, workshop: Workshop) -> None:
        """Compile a pattern that makes messages.

        Raises:
            ConfigurationRefused: the contract of what it makes is not registered as it stands.
        """
        pattern = self._pattern
        if isinstance(pattern, Splitter):
            splitter = workshop.splitter(pattern, stage_of(pattern))
            self.run = lambda batch: batch.each(splitter.bind(batch, time.time()))  # type: ignore[arg-type]  # the binding's types are wider than Kafka's
        elif isinstance(pattern, Aggregator):
            aggregator = workshop.aggregator(pattern, stage_of(pattern))
            timeout_ms, most_bytes = pattern.complete.timeout, self._most_bytes()

            def run(batch: Batch) -> None:
                groups = Groups(batch.state(GROUPS_TABLE.name), batch.partition, timeout_ms, most_bytes)
                batch.each(aggregator.bind(batch, groups, time.time()))  # type: ignore[arg-type]  # as above

            self.run = run

    def _most_bytes(self) -> int:
        declared = self._topology.topics.get(self._pattern.destination)
        return declared.max_message_bytes if declared and declared.max_message_bytes else MOST_GROUP_BYTES

    def _tap(self, batch: Batch) -> None:
        pass_on = compile_pass(batch, self._pattern.source, self._pattern.destination)
        self._each(batch, lambda record: pass_on(record, raw_headers(record)))

    def _each(self, batch: Batch, handle: Callable[[Record], None]) -> None:
        """Handle every record whose signature is valid, where the source asks for one."""
        check = self._check

        def handle_checked(record: Record) -> None:
            if check is not None:
                check(record)
            handle(record)

        batch.each(handle_checked if check else handle)  # type: ignore[arg-type]  # as above

    def _receive(self, batch: Batch) -> None:
        pattern = self._pattern
        assert isinstance(pattern, IdempotentReceiver)  # noqa: S101 chosen by it
        pass_on = compile_pass(batch, pattern.source, pattern.destination)
        rows = batch.state(IDS_TABLE.name)
        receiver = idempotent_receiver.IdempotentReceiver(rows, batch.partition, pattern.window, pass_on)
        self._each(batch, receiver.handle)
        if receiver.duplicates:
            stage, count = stage_of(pattern), receiver.duplicates
            batch.after_commit(lambda _at: metrics.DUPLICATES.labels(stage).inc(count))


def _tables(pattern: Pattern) -> tuple[TableSpec, ...]:
    if isinstance(pattern, Aggregator):
        return (GROUPS_TABLE,)
    return (IDS_TABLE,) if isinstance(pattern, IdempotentReceiver) else ()
