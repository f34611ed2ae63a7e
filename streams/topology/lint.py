"""What the file's shape cannot show: names that Kafka or Headrace would refuse, and things that nobody declared.

Pure: topology and names of contracts in, findings out. Conditions and payload paths are routing's to check.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from streams.topology import names
from streams.topology.findings import Finding
from streams.topology.model import Topic, Topology
from streams.topology.references import TopicReference, topic_references
from streams.topology.router_lint import lint_routers

# More copies than any cluster keeps; with fewer partitions than that the two numbers were likely exchanged.
_MOST_REPLICAS = 5


def lint(topology: Topology, contracts: Collection[str]) -> list[Finding]:
    """Findings about topics, contracts (given by every name they go by), stages and what refers to them."""
    findings = [
        *_topic_names(topology),
        *_topics(topology, contracts),
        *_contracts(topology, contracts),
        *_undeclared(topology),
        *_stages(topology),
        *lint_routers(topology),
    ]
    return sorted(set(findings))


def _topic_names(topology: Topology) -> Iterator[Finding]:
    derived = names.aggregate_topics(aggregate.name for aggregate in topology.aggregates)
    by_metric_name: dict[str, Topic] = {}
    for name, topic in topology.topics.items():
        if not names.is_legal_topic(name):
            why = f"Kafka allows letters, digits, . _ and -, at most {names.LONGEST_TOPIC}"
            yield topic.finding(f"illegal topic name {name[:60]!r}; {why}; rename it")
        elif name.startswith((names.RESERVED_PREFIX, "__")):
            yield topic.finding(
                f"topic {name!r} is declared; names in headrace. and __ are derived by Headrace and Kafka; "
                "rename or remove it"
            )
        elif name in derived:
            yield topic.finding(f"topic {name!r} is declared; it is derived from its aggregate; remove it")
        # Kafka refuses the second of these, since both have one name in its metrics.
        first = by_metric_name.setdefault(name.replace(".", "_"), topic)
        if first is not topic:
            why = "Kafka takes . and _ for the same in topic names"
            yield topic.finding(f"topic {name!r} collides with {first.name!r}; {why}; rename one")


def _topics(topology: Topology, contracts: Collection[str]) -> Iterator[Finding]:
    for name, topic in topology.topics.items():
        for index, contract in enumerate(topic.contracts):
            place = f"contracts[{index}]"
            if contract in topic.contracts[:index]:
                yield topic.finding(f"contract {contract!r} again; once is enough; remove it", place)
            elif contract not in contracts:
                yield topic.finding(_no_contract(contract, contracts), place)
        if topic.format and topic.contracts:
            why = "a topic carries Avro of its contracts or one other format"
            yield topic.finding(f"topic {name!r} has contracts and a format; {why}; remove one", "format")
        if (topic.replication or 0) > max(_MOST_REPLICAS, topic.partitions):
            what = f"{topic.replication} copies of {topic.partitions} partitions"
            yield topic.finding(f"{what}; no cluster keeps so many; exchange the two numbers?", "replication")


def _contracts(topology: Topology, contracts: Collection[str]) -> Iterator[Finding]:
    for name, settings in topology.contracts.items():
        if name not in contracts:
            yield settings.finding(_no_contract(name, contracts))


def _no_contract(name: str, contracts: Collection[str]) -> str:
    remedy = _near_miss(name, contracts, f"add {name}.avsc or correct the name")
    return f"no contract {name!r}; its schema is not in the folder of schemas; {remedy}"


def _near_miss(name: str, known: Collection[str], otherwise: str) -> str:
    near = get_close_matches(name[: names.LONGEST_TOPIC], sorted(known), 1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def _undeclared(topology: Topology) -> Iterator[Finding]:
    known = topology.topics.keys() | names.aggregate_topics(aggregate.name for aggregate in topology.aggregates)
    for reference in topic_references(topology):
        if reference.topic not in known:
            yield reference.owner.finding(_not_declared(reference, known), reference.key)


def _not_declared(reference: TopicReference, known: Collection[str]) -> str:
    what = f"undeclared topic {reference.topic!r} as {reference.role}"
    remedy = _near_miss(reference.topic, known, "declare it under topics or correct the name")
    return f"{what}; nothing relies on Kafka creating topics by itself; {remedy}"


def _stages(topology: Topology) -> Iterator[Finding]:
    for stage in topology.stages.values():
        if stage.group_protocol == "consumer" and stage.static_membership:
            yield stage.finding(
                "static membership with group protocol consumer; Kafka refuses the successor of a killed static "
                "member there; choose classic or remove static_membership",
                "static_membership",
            )
