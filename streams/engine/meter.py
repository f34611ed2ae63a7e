"""Counts of one stage, per batch and cycle, for /metrics and for the stage's status."""

from collections.abc import Mapping

from confluent_kafka import KafkaError

from streams.engine.deferrals import Deferrals
from streams.engine.ownership import Ownership
from streams.engine.sources import Sources
from streams.engine.stage import TP, StageSpec
from streams.telemetry import metrics


class Meter:
    """Holds the stage's labelled metrics, looked up once."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._records = metrics.RECORDS.labels(stage)
        self._batches = metrics.BATCHES.labels(stage)
        self._transactions = metrics.TRANSACTIONS.labels(stage)
        self._cycle_seconds = metrics.CYCLE_SECONDS.labels(stage)
        self._commit_seconds = metrics.COMMIT_SECONDS.labels(stage)
        self._lags: dict[TP, int] = {}
        self._parked: set[int] = set()
        self._still: set[TP] = set()
        self.counters = {"records": 0.0, "batches": 0.0, "transactions": 0.0, "aborts": 0.0, "dead_letters": 0.0}

    def handled(self, batches: int) -> None:
        """Batches that agents have acknowledged."""
        self._batches.inc(batches)
        self.counters["batches"] += batches

    def committed(self, records: int, letters: Mapping[str, int], cycle_s: float, commit_s: float) -> None:
        """One transaction: its records, its dead letters by category, and how long it took."""
        self._records.inc(records)
        self._transactions.inc()
        self._cycle_seconds.observe(cycle_s)
        self._commit_seconds.observe(commit_s)
        self.counters["records"] += records
        self.counters["transactions"] += 1
        for category, count in letters.items():
            metrics.DEAD_LETTERS.labels(self.stage, category).inc(count)
            self.counters["dead_letters"] += count

    def aborted(self, reason: str) -> None:
        """One transaction that did not commit."""
        metrics.ABORTS.labels(self.stage, reason).inc()
        self.counters["aborts"] += 1

    def client_error(self, kind: str, error: KafkaError) -> None:
        """An error that librdkafka reported by itself; `kind` is consumer or producer."""
        counter = metrics.PRODUCER_ERRORS if kind == "producer" else metrics.CONSUMER_ERRORS
        counter.labels(self.stage, error.name()).inc()

    def sample(self, spec: StageSpec, ownership: Ownership, sources: Sources, positions: Mapping[TP, int]) -> None:
        """Note lags and restore progress; asks nobody, everything is in the clients' memory."""
        running = [TP(topic, p) for topic in spec.sources for p in ownership.states if ownership.running(p)]
        ends = sources.high_watermarks(running)
        self.show_lags({tp: max(end - positions[tp], 0) for tp, end in ends.items() if tp in positions})
        self.show_waiting(ownership.deferrals)
        tables = {spec.changelog(table.name): table.name for table in spec.tables}
        for tp, (position, target) in ownership.restorer.progress().items():
            metrics.RESTORED.labels(self.stage, tables[tp.topic], str(tp.partition)).set(position)
            metrics.RESTORE_TARGET.labels(self.stage, tables[tp.topic], str(tp.partition)).set(target)

    def show_lags(self, lags: Mapping[TP, int]) -> None:
        """Records not yet processed, of every partition owned now; those that went take their series along."""
        for tp in self._lags.keys() - lags.keys():
            metrics.LAG.remove(self.stage, tp.topic, str(tp.partition))
        for tp, lag in lags.items():
            metrics.LAG.labels(self.stage, tp.topic, str(tp.partition)).set(lag)
        self._lags = dict(lags)

    def show_waiting(self, deferrals: Deferrals) -> None:
        """Parked records, and partitions that stand still, of what is owned now."""
        parked, still = deferrals.parked(), deferrals.standing_still()
        for partition in self._parked - parked.keys():
            metrics.PARKED.remove(self.stage, str(partition))
            metrics.PARKED_BYTES.remove(self.stage, str(partition))
        for partition, (records, size) in parked.items():
            metrics.PARKED.labels(self.stage, str(partition)).set(records)
            metrics.PARKED_BYTES.labels(self.stage, str(partition)).set(size)
        for tp in self._still - still:
            metrics.STANDS_STILL.remove(self.stage, tp.topic, str(tp.partition))
        for tp in still:
            metrics.STANDS_STILL.labels(self.stage, tp.topic, str(tp.partition)).set(1)
        self._parked, self._still = set(parked), still

    def lag(self, tp: TP) -> int | None:
        """Lag when it was last sampled."""
        return self._lags.get(tp)
