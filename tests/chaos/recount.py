"""Counts what arrived, from the topics alone, against what a run's records must have become."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import Message

from streams.config import Settings
from streams.engine.topic_reader import read_topics
from tests.chaos import workload
from tests.chaos.domain import FOLLOW, LEAD, OUT

CHANGELOG = "headrace.counting.counts.changelog"
DESTINATIONS = ("chaos.express", "chaos.audit", "chaos.standard")


@dataclass
class Differences:
    """How many records are not as they must be, by kind; and a few examples."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, example: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= 10:
            self.examples.append(f"{kind}: {example}")


def _each(check: Callable[[Message], None], batch: list[Message]) -> None:
    for message in batch:
        check(message)


def recount_sources(settings: Settings, records: int, found: Differences) -> None:
    """Every record in its source once: what the load itself has lost or doubled is no stage's doing."""
    seen = bytearray(records)

    def check(message: Message) -> None:
        routed = message.topic() == workload.INBOUND
        i = int((dict(message.headers() or ())["ce_id"] if routed else message.value()) or 0)
        seen[i] = min(seen[i] + 1, 255)

    read_topics(settings, [workload.INBOUND, LEAD, FOLLOW], partial(_each, check), timeout_s=600)
    for i in range(records):
        if seen[i] != 1:
            found.add("sent other than once", f"{i}: {seen[i]} times, at {workload.partition(i)}")


def recount_routing(settings: Settings, records: int, schema_id: int, found: Differences) -> None:
    """Every odd record at its destinations, once, unchanged, in its key's order."""
    seen = {topic: bytearray(records) for topic in DESTINATIONS}
    last: dict[tuple[str, bytes], int] = {}

    def check(message: Message) -> None:
        topic, key = message.topic() or "", message.key()
        headers = list(message.headers() or ())
        (i,) = (int(value or 0) for name, value in headers if name == "ce_id")
        seen[topic][i] = min(seen[topic][i] + 1, 255)
        assert isinstance(key, bytes)
        if last.get((topic, key), -1) > i:
            found.add("out of order", f"{topic} {i}")
        last[topic, key] = i
        expected = (
            workload.value_of(i, schema_id),
            workload.key_of(i),
            workload.headers_of(i),
            workload.timestamp_of(i),
        )
        if (message.value(), key, headers, message.timestamp()[1]) != expected:
            found.add("altered", f"{topic} {i}")

    read_topics(settings, DESTINATIONS, partial(_each, check), timeout_s=600)
    for i in range(1, records, 2):
        wanted = ("chaos.express", "chaos.audit") if workload.is_critical(i) else ("chaos.standard",)
        for topic in DESTINATIONS:
            count, want = seen[topic][i], int(topic in wanted)
            if count != want:
                kind = "missing" if count < want else "misrouted" if not want else "doubled"
                found.add(kind, f"{topic} {i}: {count} times")


def recount_counting(settings: Settings, records: int, found: Differences) -> dict[bytes, int]:
    """Every even record counted once; per key and source in order; the counts without gap; returns the counts."""
    seen = bytearray(records)
    counts: dict[bytes, int] = defaultdict(int)
    last: dict[tuple[bytes, str], int] = {}

    def check(message: Message) -> None:
        key, value = message.key(), message.value()
        assert isinstance(key, bytes)
        assert isinstance(value, bytes)
        number, _, count = value.partition(b":")
        i = int(number)
        seen[i] = min(seen[i] + 1, 255)
        counts[key] += 1
        if int(count) != counts[key]:
            found.add("count out of sequence", f"{key!r}: {int(count)}, expected {counts[key]}")
        source = workload.source_of(i)
        if last.get((key, source), -1) > i:
            found.add("out of order", f"{source} {i}")
        last[key, source] = i

    read_topics(settings, [OUT], partial(_each, check), timeout_s=600)
    for i in range(0, records, 2):
        if seen[i] != 1:
            found.add("missing" if not seen[i] else "doubled", f"{OUT} {i}: {seen[i]} times")
    return counts


def recount_changelog(settings: Settings, counts: dict[bytes, int], found: Differences) -> None:
    """The changelog's last value of each key is its count."""
    rows: dict[bytes, bytes | None] = {}

    def keep(batch: list[Message]) -> None:
        rows.update((m.key(), m.value()) for m in batch)  # type: ignore[misc]

    read_topics(settings, [CHANGELOG], keep, timeout_s=600)
    if {key: int(value or 0) for key, value in rows.items()} != counts:
        wrong = [key for key in counts if rows.get(key) != b"%d" % counts[key]]
        found.add("changelog", f"{len(wrong)} keys, {len(rows)} rows for {len(counts)} keys, e.g. {wrong[:2]}")


def recount_all(
    settings: Settings, records: int, schema_id: int, table: Mapping[str, int] | None = None
) -> Differences:
    """Everything that a run's records must have become; with the table `counting.counts` as a worker tells it."""
    found = Differences()
    recount_sources(settings, records, found)
    recount_routing(settings, records, schema_id, found)
    counts = recount_counting(settings, records, found)
    recount_changelog(settings, counts, found)
    if table is not None and table != {key.decode(): count for key, count in counts.items()}:
        found.add("table over HTTP", f"{len(table)} rows for {len(counts)} keys")
    return found


def aborted_records(settings: Settings) -> int:
    """Records of aborted transactions in the outputs: they are there, and no reader above has seen them."""
    topics = [*DESTINATIONS, OUT]
    everything = read_topics(settings, topics, lambda _batch: None, "read_uncommitted", timeout_s=600)
    return everything - read_topics(settings, topics, lambda _batch: None, timeout_s=600)


def sources_of_counting() -> tuple[str, str]:
    """Lead and follower."""
    return LEAD, FOLLOW
