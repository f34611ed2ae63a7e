"""What a stage is, as plain data: its sources, tables and where it may write. Knows no Faust and no Kafka."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from streams.engine.retrying import RetryPolicy
from streams.topology import names

PARKED = "parked"
WAKEUPS = "wakeups"


class TP(NamedTuple):
    """A topic and partition; hashable, unlike confluent_kafka's."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A partitioned key-value state with a compacted changelog.

    `by="key"`: a row lives in the partition that its key hashes to, so a reader finds its owner. `by="source"`:
    rows live where the record that wrote them came from, so reads gather from all partitions. The values of
    a `values="bytes"` table are written and read as they are.
    """

    name: str
    by: Literal["key", "source"] = "key"
    values: Literal["json", "bytes"] = "json"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: one Faust App, one consumer group, one transactional cycle.

    Args:
        name: as in the design's vocabulary: `router`, `projections.orders.v1`, ...
        sources: topics it consumes, with one partition count; the first is the lead, which the group subscribes
            to, the others follow it partition by partition.
        tables: its state.
        destinations: topics its agents may send to, besides its own dlq and changelogs.
        group_protocol: `classic` or `consumer` (KIP-848).
        static_membership: `group.instance.id` = instance id (classic only).
        retries: what becomes of failed records; None: they become dead letters at once.
        timed: its agents may set timers; one agent reads `wakeups_channel`.
    """

    name: str
    sources: tuple[str, ...]
    tables: tuple[TableSpec, ...] = ()
    destinations: frozenset[str] = frozenset()
    group_protocol: Literal["classic", "consumer"] = "classic"
    static_membership: bool = False
    retries: RetryPolicy | None = None
    timed: bool = False

    def with_timers(self) -> "StageSpec":
        """This stage with a table of wake-ups."""
        return replace(self, timed=True, tables=(*self.tables, TableSpec(WAKEUPS, "source")))

    def retrying(self, policy: RetryPolicy) -> "StageSpec":
        """This stage with a table for records that wait, and the source through which dead letters return."""
        return replace(
            self,
            retries=policy,
            tables=(*self.tables, TableSpec(PARKED, "source", "bytes")),
            sources=(*self.sources, names.redrive_topic(self.name)),
        )

    @property
    def read_by_agents(self) -> tuple[str, ...]:
        """What agents read: all sources but the one through which dead letters return, and the timers that fire."""
        sources = tuple(source for source in self.sources if self.retries is None or source != self.redrive)
        return (*sources, self.wakeups_channel) if self.timed else sources

    @property
    def wakeups_channel(self) -> str:
        """What the agent of the timers reads; no topic of Kafka."""
        return f"{self.group}.{WAKEUPS}"

    @property
    def redrive(self) -> str:
        """Topic through which dead letters return; no agent reads it."""
        return names.redrive_topic(self.name)

    @property
    def lead(self) -> str:
        """The source that the group subscribes to."""
        return self.sources[0]

    @property
    def followers(self) -> tuple[str, ...]:
        """The sources that follow the lead's assignment."""
        return self.sources[1:]

    @property
    def group(self) -> str:
        """Consumer group."""
        return names.stage_group(self.name)

    @property
    def dead_letters(self) -> str:
        """Topic of its dead letters."""
        return names.dead_letter_topic(self.name)

    def changelog(self, table: str) -> str:
        """Changelog topic of one of its tables."""
        return names.changelog_topic(self.name, table)
