"""What must hold between routers: one partition count a stage, one router a source, no message sent in a circle."""

from collections.abc import Iterator

from streams.topology.findings import Finding
from streams.topology.model import Route, Router, Topology

_STAGES_OF_OTHERS = ("transformer", "sagas", "deadletters")
_PREFIXES_OF_OTHERS = ("projections.", "calls.", "patterns.", "reactions.")


def lint_routers(topology: Topology) -> Iterator[Finding]:
    """Findings about routers, but not about their conditions."""
    yield from _stage_names(topology)
    yield from _sources(topology)
    for router in topology.routers:
        for route in router.routes:
            yield from _destinations(router, route)
    yield from _groups(topology)


def _stage_names(topology: Topology) -> Iterator[Finding]:
    taken = {*_STAGES_OF_OTHERS, *(aggregate.name for aggregate in topology.aggregates)}
    for router in topology.routers:
        if router.stage in taken or router.stage.startswith(_PREFIXES_OF_OTHERS):
            what = f"stage {router.stage!r} for a router"
            yield router.finding(f"{what}; other kinds of stages have that name; choose another", "stage")


def _sources(topology: Topology) -> Iterator[Finding]:
    leads: dict[str, Router] = {}
    seen: dict[tuple[str, str], Router] = {}
    for router in topology.routers:
        first = seen.setdefault((router.stage, router.source), router)
        if first is not router:
            what = f"a second router of {router.source!r} in stage {router.stage!r}"
            why = f"line {first.line} has the first, and a stage reads a topic once"
            yield router.finding(f"{what}; {why}; join their routes or name another stage", "source")
        lead = leads.setdefault(router.stage, router)
        counts = [_partitions(topology, each.source) for each in (lead, router)]
        if None not in counts and counts[0] != counts[1]:
            what = f"{router.source!r} has {counts[1]} partitions, {lead.source!r} has {counts[0]}"
            why = f"sources of stage {router.stage!r} move together"
            yield router.finding(f"{what}; {why}; make them equal or name another stage", "source")


def _partitions(topology: Topology, topic: str) -> int | None:
    declared = topology.topics.get(topic)
    return declared.partitions if declared else None


def _destinations(router: Router, route: Route) -> Iterator[Finding]:
    entered: set[str] = set()
    for destination in route.destinations:
        topic, key = destination.topic, destination.kind
        if topic == router.source:
            yield destination.finding(f"{topic!r} is the router's own source; messages would circle; remove it", key)
        if topic in entered and not destination.subscription:
            yield destination.finding(f"{topic!r} again; a message enters a topic once; remove it", key)
        entered.add(topic)
        if destination.subscription and destination.kind == "queue":
            what = f"subscription {destination.subscription!r} of a queue"
            why = "a queue has one group of readers, called as the queue"
            yield destination.finding(f"{what}; {why}; write topic: instead of queue:", "subscription")


def _groups(topology: Topology) -> Iterator[Finding]:
    """Two readers with one group would share the messages that each should get."""
    readers: dict[str, tuple[str, str]] = {}
    for router in topology.routers:
        for route in router.routes:
            for destination in route.destinations:
                group, reader = destination.group, (destination.kind, destination.topic)
                if group and readers.setdefault(group, reader) != reader:
                    what = f"consumer group {group!r} for two readers"
                    yield destination.finding(f"{what}; each would get a part only; rename one")
