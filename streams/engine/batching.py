"""Makes a cycle's batches: of new records and due ones for the agents, and those that the engine handles itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from streams.engine.batch import Batch
from streams.engine.cycle import Cycle
from streams.engine.deferrals import Deferrals
from streams.engine.producer import TransactionalProducer
from streams.engine.returning import bury, take_back
from streams.engine.stage import TP, StageSpec
from streams.engine.timers import Timers
from streams.engine.verdicts import Verdicts

BATCH_RECORDS = 500

Runs = Iterable[tuple[TP, list[Any]]]


class Batching:
    """Batches of one stage.

    Args:
        spec: the stage.
        known_topics: topics that it may send to, and their partition counts.
        verdicts: what earlier cycles have taught.
        producer: takes early what batches put out.
        deferrals: records that wait.
        timers: wake-ups that wait.
    """

    def __init__(
        self,
        spec: StageSpec,
        known_topics: Mapping[str, int],
        verdicts: Verdicts,
        producer: TransactionalProducer,
        deferrals: Deferrals,
        timers: Timers,
    ) -> None:
        self._spec = spec
        self._known_topics = known_topics
        self._verdicts = verdicts
        self._producer = producer
        self._deferrals = deferrals
        self._timers = timers

    def returned(self, runs: Runs, cycle: Cycle) -> list[Batch]:
        """Dead letters that come back, handled here and now: no agent is asked."""
        batches = []
        for tp, run in runs:
            deferral = self._deferrals.of(tp.partition, cycle) if tp.topic == self._spec.redrive else None
            if deferral is not None:
                batches.append(self._batch(tp, run, cycle, defers=False))
                take_back(batches[-1], deferral, self._spec)
        return batches

    def for_agents(self, runs: Runs, cycle: Cycle) -> list[Batch]:
        """Parked records whose time has come, then new ones."""
        batches = [self._batch(tp, run, cycle) for tp, run in self._deferrals.due(cycle)]
        for tp, run in runs:
            if tp.topic in self._spec.read_by_agents:
                pieces = range(0, len(run), BATCH_RECORDS)
                batches += [self._batch(tp, run[i : i + BATCH_RECORDS], cycle) for i in pieces]
        return batches

    def fired(self, ready: Mapping[int, int], cycle: Cycle) -> list[Batch]:
        """Timers of partitions whose time has come, unless these stand still."""
        passing = {partition: due_ms for partition, due_ms in ready.items() if self._deferrals.passes(partition)}
        return [self._batch(tp, run, cycle) for tp, run in self._timers.fire(cycle, passing)]

    def buried(self, cycle: Cycle) -> list[Batch]:
        """Parked records that become dead letters behind one of their key, handled here and now."""
        batches = []
        for tp, run in self._deferrals.to_bury(cycle):
            batches.append(self._batch(tp, run, cycle, defers=False))
            bury(batches[-1])
        return batches

    def _batch(self, tp: TP, records: list[Any], cycle: Cycle, *, defers: bool = True) -> Batch:
        verdicts = self._verdicts
        return Batch(
            tp.topic,
            tp.partition,
            records,
            stage=self._spec.name,
            dead_letters=self._spec.dead_letters,
            known_topics=self._known_topics,
            cycle=cycle,
            refused=verdicts.refused_at(tp),
            stripped=verdicts.stripped_at(tp),
            traced=verdicts.traced,
            flush=self._producer.put_out_early,
            deferral=self._deferrals.of(tp.partition, cycle) if defers else None,
        )
