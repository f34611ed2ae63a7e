"""What a cluster has, as plain data, as far as a topology can ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic on the cluster; `configs` are the effective values, the broker's defaults included."""

    partitions: int
    replication: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """One look at a cluster.

    Args:
        brokers: how many are up.
        defaults: what a new topic gets of `max.message.bytes`, `retention.ms`, `cleanup.policy`.
        group_minimums: the broker's lower bounds of group configs, by the names of these.
        topics: by name; configs only of those that were asked for.
        groups: partitions for which a group has an offset.
        group_configs: effective configs of groups.
    """

    brokers: int
    defaults: Mapping[str, str] = field(default_factory=dict)
    group_minimums: Mapping[str, int] = field(default_factory=dict)
    topics: Mapping[str, TopicState] = field(default_factory=dict)
    groups: Mapping[str, frozenset[tuple[str, int]]] = field(default_factory=dict)
    group_configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def config(self, topic: str, name: str) -> str:
        """Effective config of a topic, or what it would get when made."""
        state = self.topics.get(topic)
        return (state.configs.get(name) if state else None) or self.defaults[name]

    def partitions(self, topic: str) -> int:
        """Partition count of a topic, 1 where it does not exist."""
        return self.topics[topic].partitions if topic in self.topics else 1
