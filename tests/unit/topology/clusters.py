"""Topologies, stages and clusters for tests, and a cluster that changes are made to in memory."""

from dataclasses import replace

from streams.engine.stage import StageSpec, TableSpec
from streams.topology import changes as kinds
from streams.topology.cluster_state import ClusterState, TopicState
from streams.topology.desired import desired_groups, desired_topics
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from streams.topology.plan import Plan, make_plan

DEFAULTS = {"max.message.bytes": "1048588", "retention.ms": "604800000", "cleanup.policy": "delete"}
EMPTY = ClusterState(brokers=1, defaults=DEFAULTS)
ROUTER = StageSpec("router", ("in",), (TableSpec("routes", by="source"),), frozenset({"out", "queue"}))

TEXT = """version: 1
topics:
  in: {partitions: 4}
  queue: {partitions: 2}
  out: {partitions: 2, retention: 30d, max_message_bytes: 1000}
routers:
  - source: in
    routes: [{name: r, destinations: [{queue: queue}, {topic: out, subscription: reader}]}]
"""


def topology(text: str = TEXT) -> Topology:
    return parse_topology(text, "t.yaml", {})


def plan_for(
    text: str = TEXT,
    cluster: ClusterState = EMPTY,
    stages: tuple[StageSpec, ...] = (ROUTER,),
    unregistered: tuple[str, ...] = (),
) -> Plan:
    model = topology(text)
    groups = desired_groups(model, stages)
    return make_plan(desired_topics(model, stages, cluster), groups, map(kinds.RegisterContract, unregistered), cluster)


def applied(plan: Plan, cluster: ClusterState) -> ClusterState:
    """The cluster after every change, as Kafka would make it."""
    for change in plan.changes:
        cluster = _made(change, cluster)
    return cluster


def _made(change: kinds.Change, cluster: ClusterState) -> ClusterState:
    topics, groups = dict(cluster.topics), dict(cluster.groups)
    match change:
        case kinds.CreateTopic(topic=topic):
            configs = {**cluster.defaults, **topic.configs}
            topics[topic.name] = TopicState(topic.partitions, topic.replication, configs)
        case kinds.GrowTopic(name=name, after=after):
            topics[name] = replace(topics[name], partitions=after)
        case kinds.ConfigureTopic(name=name, configs=configs):
            new = {key: wanted for key, (_, wanted) in configs.items()}
            topics[name] = replace(topics[name], configs={**topics[name].configs, **new})
        case kinds.DeleteTopic(name=name):
            del topics[name]
        case kinds.PresetOffsets(group=group, topic=topic, partitions=partitions):
            groups[group] = groups.get(group, frozenset()) | {(topic, each) for each in partitions}
        case kinds.ConfigureGroup(name=name, configs=configs):
            new = {key: wanted for key, (_, wanted) in configs.items()}
            return replace(cluster, group_configs={**cluster.group_configs, name: new})
        case kinds.Refused():
            raise AssertionError(change.detail)
    return replace(cluster, topics=topics, groups=groups)
