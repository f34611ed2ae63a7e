"""What has to be on the cluster: topology and stages in, topics and groups out. Pure.

The rules are the design's, "Topics and the plan"; docs/reference/topology.md says them for people.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from streams.topology import names
from streams.topology.cluster_state import ClusterState
from streams.topology.model import Topic, Topology

# What a dead letter or a changelog record has beyond the record that it comes from: headers with the error and
# its stack trace (cut at 4 KiB), a table's row.
ALLOWANCE_BYTES = 64 * 1024
FOREVER_MS = -1
_MOST_REPLICAS = 3

# KIP-848's counterpart of the classic protocol's session.timeout.ms and heartbeat.interval.ms, which the broker's
# defaults (45 s, 5 s) make a crash cost 45 s.
GROUP_CONFIGS: Mapping[str, str] = {
    "consumer.session.timeout.ms": "6000",
    "consumer.heartbeat.interval.ms": "1000",
}

_SHARED_COMPACTED = frozenset({names.SCHEMAS_TOPIC, "headrace.control", "headrace.sagas"})
_SHARED_LETTERS = frozenset({"headrace.review", "headrace.notifications", "headrace.archive"})
_SIGNAL_PARTITIONS = 4


class Table(Protocol):
    """A table of a stage."""

    @property
    def name(self) -> str:
        """As in its changelog's name."""


class Stage(Protocol):
    """What of a stage the cluster has to know."""

    @property
    def name(self) -> str:
        """As in its group's name."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Topics it reads; the first is the lead."""

    @property
    def tables(self) -> Sequence[Table]:
        """Its state."""

    @property
    def group_protocol(self) -> Literal["classic", "consumer"]:
        """`consumer` is KIP-848."""


@dataclass(frozen=True, slots=True)
class DesiredTopic:
    """A topic as it has to be.

    Args:
        name: of the topic.
        partitions: exactly.
        replication: copies, where the topic is made; those of an existing one are left.
        configs: only those that Headrace states; all others are the broker's or the operator's.
        fixed_by: the stage whose rows would be in the wrong partitions if the count changed.
        short_of: copies that the topology asks for where the cluster has fewer brokers.
    """

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]
    fixed_by: str = ""
    short_of: int = 0


@dataclass(frozen=True, slots=True)
class DesiredGroup:
    """A consumer group whose offsets must not be missing.

    Args:
        name: of the group.
        topics: which it reads.
        start: where a reader without offsets begins: at the first record, or at the next that comes.
        configs: the group's own.
    """

    name: str
    topics: tuple[str, ...]
    start: Literal["start", "end"]
    configs: Mapping[str, str] = field(default_factory=dict)


def desired_groups(topology: Topology, stages: Sequence[Stage]) -> dict[str, DesiredGroup]:
    """Groups of stages and queues, which begin at the start, and of subscriptions, which begin at the end."""
    groups: dict[str, DesiredGroup] = {}
    for stage in stages:
        configs = GROUP_CONFIGS if stage.group_protocol == "consumer" else {}
        group = DesiredGroup(names.stage_group(stage.name), tuple(stage.sources), "start", configs)
        groups[group.name] = group
    for router in topology.routers:
        for route in router.routes:
            for destination in route.destinations:
                if name := destination.group:
                    start: Literal["start", "end"] = "start" if destination.kind == "queue" else "end"
                    groups.setdefault(name, DesiredGroup(name, (destination.topic,), start))
    return groups


def desired_topics(topology: Topology, stages: Sequence[Stage], cluster: ClusterState) -> dict[str, DesiredTopic]:
    """Every topic of the topology, of its stages, and those that all share."""
    fixed_by = {source: stage.name for stage in stages if stage.tables for source in stage.sources}
    topics = {name: _declared(topic, cluster, fixed_by.get(name, "")) for name, topic in topology.topics.items()}
    for stage in stages:
        topics.update((topic.name, topic) for topic in _of_stage(stage, topology, topics, cluster, fixed_by))
    topics.update((topic.name, topic) for topic in _shared(topology, topics, cluster))
    return topics


def _declared(topic: Topic, cluster: ClusterState, fixed_by: str) -> DesiredTopic:
    asked = topic.replication or _MOST_REPLICAS
    replication = max(1, min(asked, cluster.brokers))
    configs = {"cleanup.policy": "delete", **_always(topic.name, replication, cluster)}
    if topic.retention is not None:
        configs["retention.ms"] = str(topic.retention)
    if topic.max_message_bytes is not None:
        configs["max.message.bytes"] = str(topic.max_message_bytes)
    short_of = asked if topic.replication and asked > replication else 0
    return DesiredTopic(topic.name, topic.partitions, replication, configs, fixed_by, short_of)


def _always(name: str, replication: int, cluster: ClusterState) -> dict[str, str]:
    # More than there are copies would refuse every write: an existing topic is judged by the copies it has.
    copies = cluster.topics[name].replication if name in cluster.topics else replication
    return {"compression.type": "producer", "min.insync.replicas": str(max(1, copies - 1))}


def _of_stage(
    stage: Stage,
    topology: Topology,
    topics: Mapping[str, DesiredTopic],
    cluster: ClusterState,
    read_with_tables: Mapping[str, str],
) -> Iterator[DesiredTopic]:
    lead = topics.get(stage.sources[0])
    limit = _largest_source(stage, topology, topics, cluster) + ALLOWANCE_BYTES
    letters, redrive = names.dead_letter_topic(stage.name), names.redrive_topic(stage.name)
    if stage.sources[0] == redrive:  # the stage that reads the letters of all others
        partitions = topology.failures.dlq_partitions
    else:
        partitions = lead.partitions if lead else cluster.partitions(stage.sources[0])
    fixed_by = stage.name if stage.tables else ""
    for table in stage.tables:
        name = names.changelog_topic(stage.name, table.name)
        yield _derived(name, partitions, {**_COMPACT, **_limit(limit)}, cluster, fixed_by)
    yield _derived(
        letters,
        topology.failures.dlq_partitions,
        {**_KEEP, **_limit(limit)},
        cluster,
        read_with_tables.get(letters, ""),
    )
    yield _derived(redrive, partitions, {**_KEEP, **_limit(limit)}, cluster, fixed_by)


def _largest_source(stage: Stage, topology: Topology, topics: Mapping[str, DesiredTopic], cluster: ClusterState) -> int:
    own = [source for source in stage.sources if not names.is_derived(source)]
    if own:
        return max(largest_message(source, topology, cluster) for source in own)
    limits = [topics[source].configs.get("max.message.bytes") for source in stage.sources if source in topics]
    return max((int(limit) for limit in limits if limit), default=0) or largest_message(
        stage.sources[0], topology, cluster
    )


def largest_message(topic: str, topology: Topology, cluster: ClusterState) -> int:
    """`max.message.bytes` that the topic has or will have."""
    declared = topology.topics.get(topic)
    if declared and declared.max_message_bytes:
        return declared.max_message_bytes
    return int(cluster.config(topic, "max.message.bytes"))


_COMPACT: Mapping[str, str] = {"cleanup.policy": "compact"}
# A shredded key leaves the disk when its log is compacted, which without a limit may be never (KIP-354).
_SHRED_WITHIN_MS = 60 * 60 * 1000
# A letter that nobody has dealt with, or a redrive that its stage has not read yet, must not vanish.
_KEEP: Mapping[str, str] = {"cleanup.policy": "delete", "retention.ms": str(FOREVER_MS)}


def _limit(size: int) -> dict[str, str]:
    return {"max.message.bytes": str(size)}


def _derived(
    name: str, partitions: int, configs: Mapping[str, str], cluster: ClusterState, fixed_by: str = ""
) -> DesiredTopic:
    replication = max(1, min(_MOST_REPLICAS, cluster.brokers))
    return DesiredTopic(name, partitions, replication, {**configs, **_always(name, replication, cluster)}, fixed_by)


def _shared(topology: Topology, topics: Mapping[str, DesiredTopic], cluster: ClusterState) -> Iterator[DesiredTopic]:
    """Letters keep their size on the way to review, notifications and archive."""
    limits = [int(topic.configs["max.message.bytes"]) for topic in topics.values() if topic.name.endswith(".dlq")]
    letters = {**_KEEP, **(_limit(max(limits)) if limits else {})}
    for name in names.SHARED_TOPICS:
        if name == names.KEYS_TOPIC:
            yield _derived(name, 1, {**_COMPACT, "max.compaction.lag.ms": str(_SHRED_WITHIN_MS)}, cluster)
        elif name in _SHARED_COMPACTED:
            yield _derived(name, 1, _COMPACT, cluster)
        elif name in _SHARED_LETTERS:
            yield _derived(name, topology.failures.dlq_partitions, letters, cluster)
        elif name == "headrace.sagas.signals":
            yield _derived(name, _SIGNAL_PARTITIONS, {"cleanup.policy": "delete"}, cluster)
        else:
            yield _derived(name, 1, _KEEP, cluster)
