"""A stage as a Faust App: its agents, streams, tables, sensors and web server, on the engine of this package."""

from collections.abc import Callable
from typing import Any

import faust
from faust.types.assignor import PartitionAssignorT
from faust.web.base import BlueprintManager

from streams.config import Settings
from streams.engine.agents import BatchAgent, BatchStream
from streams.engine.faust_tables import StageTable, StageTables
from streams.engine.loop import StageLoop
from streams.engine.ownership import OpenStore, store_opener
from streams.engine.reads import StageReads
from streams.engine.stage import TP, StageSpec
from streams.engine.status import PartitionStatus, StageStatus
from streams.engine.transport import SCHEME
from streams.errors import ConfigurationRefused


class GroupAssignor(PartitionAssignorT):
    """Faust asks its assignor who owns a key; here the consumer group's own assignor decides (see owners.py)."""

    def __init__(self, app: Any, replicas: int = 0) -> None:
        self.app = app
        self.replicas = replicas

    def group_for_topic(self, topic: str) -> int:
        """One group for all."""
        del topic
        return 0

    def assigned_standbys(self) -> set[Any]:
        """There are none."""
        return set()

    def assigned_actives(self) -> set[Any]:
        """What this worker owns."""
        owned: set[Any] = self.app.consumer.assignment()
        return owned

    def is_active(self, tp: Any) -> bool:
        """Whether this worker owns it."""
        return tp in self.app.consumer.assignment()

    def is_standby(self, tp: Any) -> bool:
        """There are none."""
        del tp
        return False

    def key_store(self, topic: str, key: bytes) -> Any:
        """Refused: the HTTP API forwards reads to their owner."""
        del topic, key
        raise ConfigurationRefused("table routes are not Faust's here; read tables through /api/tables")

    def table_metadata(self, topic: str) -> dict[str, Any]:
        """Nothing that Faust's router could use."""
        del topic
        return {}

    def tables_metadata(self) -> dict[str, Any]:
        """Nothing, as above."""
        return {}


def _nothing() -> None:
    """Most stages need nothing."""


class StageApp(faust.App):
    """One stage.

    Args:
        spec: its sources, tables and destinations.
        settings: where Kafka is and who this worker is.
        open_store: makes a table partition's store; by default what `settings.store` says, in its state folder.
        prepare: what the stage needs from the cluster before it joins its group, e.g. the registered contracts.
        web_enabled: whether this App hosts the process's web server.
    """

    def __init__(
        self,
        spec: StageSpec,
        settings: Settings,
        *,
        open_store: OpenStore | None = None,
        prepare: Callable[[], None] = _nothing,
        web_enabled: bool = False,
    ) -> None:
        self.spec = spec
        self.settings = settings
        folder = settings.state_dir / settings.instance_id / spec.name
        self.prepare = prepare
        self.open_store = open_store or store_opener(settings.store, folder)
        super().__init__(
            spec.group,
            broker=f"{SCHEME}://",
            Agent=BatchAgent,
            Stream=BatchStream,
            Table=StageTable,
            TableManager=StageTables,
            PartitionAssignor=GroupAssignor,
            datadir=str(folder / "faust"),
            store="memory://",
            topic_disable_leader=True,
            topic_allow_declare=False,
            value_serializer="raw",
            key_serializer="raw",
            web_enabled=web_enabled,
            web_host=settings.web_host,
            web_port=settings.web_port,
            web_bind=settings.web_host,
            # Long keys in a path get an answer of ours, not the HTTP server's own.
            web_application_options={"handler_args": {"max_line_size": 65_536, "max_field_size": 65_536}},
            canonical_url=settings.advertised_url(),
        )

    @property
    def engine(self) -> StageLoop | None:
        """The stage's loop, once Faust has started it."""
        return self._consumer.engine if self._consumer is not None else None

    def bare_web(self) -> Any:
        """The aiohttp application of this App's web server, without Faust's index, statistics and table pages."""
        self.web.blueprints = BlueprintManager()
        return self.web.web_app

    def reads(self) -> StageReads:
        """Committed rows on this worker."""
        return StageReads(self.spec, self.settings, self.engine)

    def status(self) -> StageStatus:
        """What this stage is doing, for people and other programs."""
        spec, engine = self.spec, self.engine
        state, reason = engine.health.told() if engine is not None else ("waiting", "its agents are starting")
        return StageStatus(
            name=spec.name,
            group=spec.group,
            state=state,
            reason=reason,
            instance=self.settings.instance_id,
            partitions=_partitions(spec, engine),
            tables=spec.tables,
            counters=dict(engine.meter.counters) if engine is not None else {},
        )

    def _create_directories(self) -> None:
        """None of Faust's folders is used; stores make their own."""

    async def _stop_consumer(self) -> None:
        """First thing that App.on_stop does: the engine ends its cycle while the agents still live."""
        if self._consumer is not None:
            await self._consumer.on_stop()


def _partitions(spec: StageSpec, engine: StageLoop | None) -> tuple[PartitionStatus, ...]:
    ownership = engine.ownership if engine is not None else None
    if engine is None or ownership is None:
        return ()
    progress = list(ownership.restorer.progress().items())
    rows = []
    for partition, state in sorted(list(ownership.states.items())):  # noqa: C414 a copy: another thread changes it
        ways = [way for tp, way in progress if tp.partition == partition]
        restored, target = (sum(way[i] for way in ways) for i in (0, 1))
        for topic in spec.sources:
            lag = engine.meter.lag(TP(topic, partition))
            rows.append(PartitionStatus(topic, partition, state.value, lag, restored, target))
    return tuple(rows)
