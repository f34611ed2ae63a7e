"""What comes from a router's source: the contracts of its messages."""

from streams.messages.contracts import Contracts
from streams.topology import names
from streams.topology.model import Topology


def contracts_of(topic: str, topology: Topology, contracts: Contracts) -> tuple[str, ...]:
    """Contracts of the messages on `topic`.

    A declared topic says so. On the topics of an aggregate any contract may come, since its class decides which.
    """
    declared = topology.topics.get(topic)
    if declared is not None:
        return declared.contracts
    return tuple(contract.full_name for contract in contracts) if is_known(topic, topology) else ()


def is_known(topic: str, topology: Topology) -> bool:
    """Whether the topology declares `topic`, or derives it from an aggregate."""
    return topic in topology.topics or topic in names.aggregate_topics(each.name for each in topology.aggregates)
