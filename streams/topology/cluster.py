"""What the cluster has: questions to Kafka through its AdminClient, answers as ClusterState."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without __all__
    AdminClient,
    ConfigResource,
    ResourceType,
)

from streams.errors import NotReachable
from streams.topology.cluster_state import ClusterState, TopicState
from streams.topology.connection import REQUEST_S, list_topics, once_settled, result_of
from streams.topology.desired import GROUP_CONFIGS, DesiredGroup

# Group and partitions -> offset of each, negative where there is none.
CommittedOffsets = Callable[[str, Iterable[tuple[str, int]]], Mapping[tuple[str, int], int]]


def read_cluster(
    admin: AdminClient,
    is_ours: Callable[[str], bool],
    groups: Iterable[DesiredGroup],
    committed: CommittedOffsets,
) -> ClusterState:
    """One look at the cluster: configs of the topics that are ours, offsets and configs of `groups`.

    Args:
        admin: asked for all but the offsets.
        is_ours: by a topic's name.
        groups: those that will be wanted.
        committed: reads a group's offsets; the engine's, since only it may have a consumer.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    metadata = list_topics(admin)
    ours = sorted(name for name in metadata.topics if is_ours(name))
    configs = read_configs(admin, ResourceType.TOPIC, ours)
    if not metadata.brokers:
        raise NotReachable("Kafka answers, but no broker is registered yet; try again")
    broker = read_configs(admin, ResourceType.BROKER, [str(min(metadata.brokers))])
    broker_configs = next(iter(broker.values()))
    groups = list(groups)
    return ClusterState(
        brokers=len(metadata.brokers),
        defaults=_defaults(broker_configs),
        group_minimums=_group_minimums(broker_configs),
        topics={name: _topic_state(metadata.topics[name], configs.get(name, {})) for name in metadata.topics},
        groups={group.name: _offsets(committed, group, metadata.topics) for group in groups},
        group_configs=read_configs(admin, ResourceType.GROUP, [group.name for group in groups if group.configs]),
    )


def _topic_state(topic: Any, configs: Mapping[str, str]) -> TopicState:
    partitions = topic.partitions.values()
    return TopicState(len(partitions), min((len(each.replicas) for each in partitions), default=0), configs)


def read_configs(admin: AdminClient, kind: ResourceType, wanted: list[str]) -> dict[str, dict[str, str]]:
    """Effective configs of topics, groups or brokers, by name; without those that are not set at all.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    if not wanted:
        return {}
    resources = [ConfigResource(kind, name) for name in wanted]

    def ask() -> dict[str, dict[str, str]]:
        futures = admin.describe_configs(resources, request_timeout=REQUEST_S)
        found = {resource.name: result_of(future) for resource, future in futures.items()}
        return {
            name: {key: entry.value for key, entry in entries.items() if entry.value is not None}
            for name, entries in found.items()
        }

    return once_settled(ask, f"reading configs of {wanted[0]}{' and others' if wanted[1:] else ''}")


_RETENTION_MS = {"log.retention.ms": 1, "log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}


def _defaults(broker: Mapping[str, str]) -> dict[str, str]:
    """What a new topic gets; of the three retention settings the finest that is set counts."""
    unit = next((name for name in _RETENTION_MS if name in broker), None)
    retention = int(broker[unit]) * _RETENTION_MS[unit] if unit else -1
    return {
        "max.message.bytes": broker.get("message.max.bytes", "1048588"),
        "retention.ms": str(max(retention, -1)),
        "cleanup.policy": broker.get("log.cleanup.policy", "delete"),
    }


def _group_minimums(broker: Mapping[str, str]) -> dict[str, int]:
    minimums = {name: f"group.{name.replace('consumer.', 'consumer.min.')}" for name in GROUP_CONFIGS}
    return {name: int(broker[minimum]) for name, minimum in minimums.items() if minimum in broker}


def _offsets(committed: CommittedOffsets, group: DesiredGroup, topics: Mapping[str, Any]) -> frozenset[tuple[str, int]]:
    """Partitions of the group's topics for which it has an offset."""
    asked = [(name, partition) for name in group.topics if name in topics for partition in topics[name].partitions]
    if not asked:
        return frozenset()
    found = once_settled(lambda: committed(group.name, asked), f"reading offsets of group {group.name}")
    return frozenset(partition for partition, offset in found.items() if offset >= 0)
