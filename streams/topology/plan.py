"""The difference between what has to be on the cluster and what is. Pure: states in, changes in order out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.topology import names
from streams.topology.changes import (
    Change,
    ConfigureGroup,
    ConfigureTopic,
    CreateTopic,
    DeleteTopic,
    GrowTopic,
    PresetOffsets,
    RecordIds,
    Refused,
    RegisterContract,
)
from streams.topology.cluster_state import ClusterState, TopicState
from streams.topology.desired import FOREVER_MS, DesiredGroup, DesiredTopic

# How long a subscriber may be away: the design's "a month later misses nothing".
DAY_MS = 24 * 3600 * 1000
USUAL_ABSENCE_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in the order in which they are made, and what a person should know besides."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What cannot be had."""
        return tuple(change for change in self.changes if isinstance(change, Refused))


def make_plan(
    topics: Mapping[str, DesiredTopic],
    groups: Mapping[str, DesiredGroup],
    contracts: Iterable[Change],
    cluster: ClusterState,
) -> Plan:
    """Compare; `contracts` are the changes that the registry needs, or refuses."""
    changes: list[Change] = []
    for topic in topics.values():
        state = cluster.topics.get(topic.name)
        changes.extend([CreateTopic(topic)] if state is None else _differences(topic, state))
    if not any(isinstance(change, Refused) for change in changes):
        # Where a count is refused, which partitions there will be is not known.
        changes.extend(preset for group in groups.values() for preset in _presets(group, topics, cluster))
    changes.extend(sorted(contracts, key=lambda change: change.target))
    for group in groups.values():
        changes.extend(_group_configs(group, cluster))
    changes.extend(_abandoned(topics, groups, cluster))
    changes.sort(key=lambda change: _ORDER.index(type(change)))
    return Plan(tuple(changes), tuple(_warnings(topics, groups, cluster)))


_ORDER: Sequence[type[Change]] = (
    Refused,
    CreateTopic,
    GrowTopic,
    ConfigureTopic,
    RegisterContract,
    RecordIds,
    PresetOffsets,
    ConfigureGroup,
    DeleteTopic,
)


def _abandoned(
    topics: Mapping[str, DesiredTopic], groups: Mapping[str, DesiredGroup], cluster: ClusterState
) -> Iterator[DeleteTopic]:
    """Changelogs of tables that a stage no longer has.

    Nothing else: topics of a stage that is not in this topology may be another topology's on the same cluster.
    """
    for name in sorted(cluster.topics.keys() - topics.keys()):
        if any(names.is_changelog_of(group, name) for group in groups):
            yield DeleteTopic(name)


def _differences(topic: DesiredTopic, state: TopicState) -> Iterator[Change]:
    if topic.partitions != state.partitions:
        yield _partition_change(topic, state.partitions)
    for losing in (False, True):
        configs = {
            name: (state.configs.get(name, ""), wanted)
            for name, wanted in topic.configs.items()
            if state.configs.get(name) != wanted and _loses(name, state.configs.get(name), wanted) is losing
        }
        if configs:
            yield ConfigureTopic(topic.name, configs, losing)


def _partition_change(topic: DesiredTopic, count: int) -> Change:
    difference = f"it has {count} partitions, the topology asks for {topic.partitions}"
    if topic.fixed_by:
        why = f"stage {topic.fixed_by} has tables, whose rows would be in the wrong partitions"
    elif topic.partitions < count:
        why = "Kafka cannot take partitions away"
    else:
        return GrowTopic(topic.name, count, topic.partitions)
    return Refused(f"topic {topic.name}", f"{difference}; {why}; declare a new topic and copy, or restore the count")


def _loses(name: str, before: str | None, after: str) -> bool:
    """Whether records that are kept now might not be, or records that are taken now would be refused."""
    if name == "cleanup.policy":
        return True
    if name not in {"retention.ms", "max.message.bytes"} or before is None:
        return False
    return _size(int(after)) < _size(int(before))


def _size(value: int) -> float:
    return float("inf") if value == FOREVER_MS else value


def _presets(group: DesiredGroup, topics: Mapping[str, DesiredTopic], cluster: ClusterState) -> Iterator[PresetOffsets]:
    has = cluster.groups.get(group.name, frozenset())
    for topic in group.topics:
        state = cluster.topics.get(topic)
        count = max(topics[topic].partitions if topic in topics else 0, state.partitions if state else 0)
        missing = tuple(partition for partition in range(count) if (topic, partition) not in has)
        if not missing:
            continue
        # The end of what is only now made, or has grown beyond what the group reads, is where records may already
        # have come when the offset is set: there the first record is the next one.
        known = state is not None and len(missing) == count
        old = tuple(partition for partition in missing if known and partition < (state.partitions if state else 0))
        new = tuple(partition for partition in missing if partition not in old)
        if old:
            yield PresetOffsets(group.name, topic, old, group.start)
        if new:
            yield PresetOffsets(group.name, topic, new, "start")


def _group_configs(group: DesiredGroup, cluster: ClusterState) -> Iterator[ConfigureGroup]:
    has = cluster.group_configs.get(group.name, {})
    configs = {
        name: (has.get(name, ""), wanted)
        for name, wanted in group.configs.items()
        if has.get(name) != wanted and int(wanted) >= cluster.group_minimums.get(name, 0)
    }
    if configs:
        yield ConfigureGroup(group.name, configs)


def _warnings(
    topics: Mapping[str, DesiredTopic], groups: Mapping[str, DesiredGroup], cluster: ClusterState
) -> Iterator[str]:
    for topic in topics.values():
        yield from _about_copies(topic, cluster)
    # Each topic once: it may have a thousand subscriptions.
    subscribed = dict.fromkeys(name for group in groups.values() if group.start == "end" for name in group.topics)
    for name in subscribed:
        yield from _about_absence(name, topics, cluster)
    for group in groups.values():
        yield from _about_minimums(group, cluster)


def _about_copies(topic: DesiredTopic, cluster: ClusterState) -> Iterator[str]:
    state = cluster.topics.get(topic.name)
    if topic.short_of:
        what = f"topic {topic.name}: replication {topic.short_of} needs as many brokers, {cluster.brokers} are up"
        yield f"{what}; {'it has' if state else 'it gets'} {state.replication if state else topic.replication}"
    elif state and state.replication < topic.replication:
        what = f"topic {topic.name}: replication {state.replication}, {topic.replication} would be possible"
        yield f"{what}; copies are moved with kafka-reassign-partitions, not by apply"


def _about_absence(name: str, topics: Mapping[str, DesiredTopic], cluster: ClusterState) -> Iterator[str]:
    configs = topics[name].configs if name in topics else {}
    retention = int(configs.get("retention.ms") or cluster.config(name, "retention.ms"))
    if _size(retention) < USUAL_ABSENCE_MS:
        what = f"topic {name} keeps records for {retention / DAY_MS:.3g}d"
        yield f"{what}; a subscriber who is away for longer misses some; set `retention: 30d` or more"
    state = cluster.topics.get(name)
    if state and "compact" in state.configs.get("cleanup.policy", ""):
        what = f"topic {name} is compacted and has subscribers"
        yield f"{what}; who is away sees only the last record of a key; use another topic"


def _about_minimums(group: DesiredGroup, cluster: ClusterState) -> Iterator[str]:
    for name, wanted in group.configs.items():
        minimum = cluster.group_minimums.get(name, 0)
        if int(wanted) < minimum:
            what = f"group {group.name}: {name} {wanted} is below the broker's minimum {minimum}"
            setting = f"group.{name.replace('consumer.', 'consumer.min.')}"
            yield f"{what}; a crash costs longer; lower {setting} on the broker"
