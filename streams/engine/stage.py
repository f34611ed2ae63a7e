"""What a stage is, as plain data: its sources, tables and where it may write. Knows no Faust and no Kafka."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.topology import names


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
    rows live where the record that wrote them came from, so reads gather from all partitions.
    """

    name: str
    by: Literal["key", "source"] = "key"


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
    """

    name: str
    sources: tuple[str, ...]
    tables: tuple[TableSpec, ...] = ()
    destinations: frozenset[str] = frozenset()
    group_protocol: Literal["classic", "consumer"] = "classic"
    static_membership: bool = False

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
