"""Checks of the topology's `security` section that need no contract: grants name stages that exist and can use them."""

from collections.abc import Iterator
from difflib import get_close_matches

from streams.topology.findings import Finding
from streams.topology.model import Topology


def lint(topology: Topology) -> list[Finding]:
    """Findings about decrypt grants; undeclared signed topics are found by streams/topology."""
    return sorted(_grants(topology))


def _grants(topology: Topology) -> Iterator[Finding]:
    security = topology.security
    routers = {router.stage for router in topology.routers}
    known = known_stages(topology)
    for stage in security.decrypt:
        if stage in routers:
            what = f"stage {stage!r} may decrypt"
            why = "it routes, and a router passes messages through as they are"
            yield security.finding(f"{what}; {why}; remove the grant", f"decrypt.{stage}")
        elif stage not in known:
            near = get_close_matches(stage[:200], sorted(known), 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"the topology has {', '.join(sorted(known)) or 'none'}"
            why = "a stage of the domain's own code is known by an entry under stages"
            yield security.finding(f"no stage {stage!r}; {why}; {remedy}", f"decrypt.{stage}")


def known_stages(topology: Topology) -> frozenset[str]:
    """Every stage that a topology makes or mentions (design, section 1)."""
    return frozenset(
        {
            *(each.stage for each in topology.routers),
            *(each.stage for each in topology.transformations),
            *(each.name for each in topology.aggregates),
            *(f"projections.{each.name}" for each in topology.projections),
            *(f"calls.{each.name}" for each in topology.calls),
            *(f"patterns.{each.name}" for each in topology.patterns),
            *(f"reactions.{step.participant}" for saga in topology.sagas for step in saga.steps),
            *(["sagas"] if topology.sagas else []),
            "deadletters",
            *topology.stages,
        }
    )
