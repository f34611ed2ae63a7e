"""Where a call's intents come from, and where its results go. Pure: topology in, names out.

An intent is an event that an aggregate committed. Which aggregate emits it only its class knows, so a call reads the
events of all of them unless it names its `source`, and passes over the others; its results are commands to the very
aggregate that the event came from. Without aggregates intents come from the declared topics that carry their contract,
and results go to those that carry the commands'.
"""

from collections.abc import Sequence

from streams.messages.contracts import Contract, Contracts
from streams.routing.router import EVENTS_SUFFIX
from streams.topology.integration import Call
from streams.topology.model import Topology


def stage_of(call: Call) -> str:
    """The stage that makes a call."""
    return f"calls.{call.name}"


def sources_of(call: Call, topology: Topology) -> tuple[str, ...]:
    """Topics that carry the call's intents, the lead first."""
    if call.source is not None:
        return (call.source,)
    if topology.aggregates:
        return tuple(f"{aggregate.name}{EVENTS_SUFFIX}" for aggregate in topology.aggregates)
    return carriers_of(call.on, topology)


def carriers_of(contract: str, topology: Topology) -> tuple[str, ...]:
    """Declared topics that carry messages of a contract, found by the short name that messages have of it."""
    wanted = _short(contract)
    return tuple(name for name, topic in topology.topics.items() if wanted in map(_short, topic.contracts))


def _short(contract: str) -> str:
    return contract.rpartition(".")[2]


def result_topics(command: str, source: str, topology: Topology) -> tuple[str, ...]:
    """Topics that a result may go to; lint has seen to it that there is exactly one."""
    owner = next((each.name for each in topology.aggregates if source == f"{each.name}{EVENTS_SUFFIX}"), None)
    return (f"{owner}.commands",) if owner else carriers_of(command, topology)


def ways_of(call: Call, topology: Topology) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Topics that a call reads, and those that its results go to."""
    sources = sources_of(call, topology)
    results = [topic for each in sources for name in results_of(call) for topic in result_topics(name, each, topology)]
    return sources, tuple(dict.fromkeys(results))


def results_of(call: Call) -> tuple[str, str]:
    """The commands that a call may make."""
    return call.result.succeeds_with, call.result.fails_with


def carried_by(source: str, call: Call, topology: Topology, contracts: Contracts) -> Sequence[Contract]:
    """Contracts of the messages on a source: of an aggregate's events only the intent is read."""
    declared = topology.topics.get(source)
    if declared is None:
        return [contracts[call.on]]
    return [contracts[name] for name in declared.contracts]
