"""Checks of routers against contracts: conditions that mean nothing, and routes that can never get a message.

Pure: topology and contracts in, findings with positions out. What the file's shape shows is found when it is read, what
needs no contract in streams/topology.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

from streams.messages.contracts import Contract, Contracts
from streams.routing.comparison_lint import lint_comparison
from streams.routing.conditions import comparisons, conjuncts
from streams.routing.field_types import FieldTypes
from streams.routing.fields import parse_field
from streams.routing.operators import readings
from streams.routing.reasoning import contradicts
from streams.routing.shadows import Candidate, shadowed, type_test
from streams.routing.sources import contracts_of, is_known
from streams.topology.conditions import Comparison, Condition
from streams.topology.findings import Finding
from streams.topology.model import Route, Router, Topology

# Pairs of one route's conditions that are compared; those of 100 conditions fit.
_MOST_PAIRS = 5000


def lint(topology: Topology, contracts: Contracts) -> list[Finding]:
    """Findings about the routers of `topology`."""
    findings: list[Finding] = []
    types = FieldTypes(contracts)
    for router in topology.routers:
        names = contracts_of(router.source, topology, contracts)
        carried = [contracts[name] for name in names if name in contracts]
        if carried:
            findings += _lint_router(router, carried, types)
        elif not names and is_known(router.source, topology):  # else streams/topology finds what is unknown
            findings.append(_without_contracts(router))
    return sorted(set(findings))


def _without_contracts(router: Router) -> Finding:
    what = f"{router.source!r} has no contracts"
    return router.finding(f"{what}; a router checks each message's schema id; give the topic contracts", "source")


def _lint_router(router: Router, carried: Sequence[Contract], types: FieldTypes) -> Iterator[Finding]:
    if router.unmatched == router.source:
        what = f"{router.source!r} is the router's own source"
        yield router.finding(f"{what}; unmatched messages would circle; use deadletter or drop", "unmatched")
    possible: list[Candidate] = []
    for route in router.routes:
        candidate = _candidate(route, carried, types)
        findings = list(_lint_route(candidate, carried))
        yield from findings
        if not findings:
            possible.append(candidate)
    if router.mode == "first":
        yield from _lint_shadows(possible)


def _candidate(route: Route, carried: Sequence[Contract], types: FieldTypes) -> Candidate:
    conditions = tuple(conjuncts(route.conditions))
    matching = tuple(each for each in carried if not any(_denies(condition, each) for condition in conditions))
    pins = {
        each.field: value
        for each in conditions
        if isinstance(each, Comparison) and (value := _pinned(each, matching, types)) is not None
    }
    return Candidate(route, conditions, matching, types, pins)


def _pinned(comparison: Comparison, carried: Sequence[Contract], known: FieldTypes) -> object:
    """The one value that a field must have, as at run time; None where several could do."""
    found = parse_field(comparison.field)
    if comparison.operator != "equals" or found is None or "[*]" in comparison.field:
        return None
    types = known.of(found, carried)
    if types == {bytes}:
        return comparison.value if isinstance(comparison.value, str) else None
    return readings(comparison.value).get(next(iter(types))) if len(types) == 1 else None


def _denies(condition: Condition, contract: Contract) -> bool:
    if isinstance(condition, Comparison) and condition.operator == "matches":
        return False  # its pattern may be none
    return type_test(condition, contract) is False


def _lint_route(candidate: Candidate, carried: Sequence[Contract]) -> Iterator[Finding]:
    mistakes = [
        finding
        for comparison in comparisons(candidate.route.conditions)
        for finding in lint_comparison(
            comparison,
            candidate.types,
            carried if comparison.field == "message_type" else candidate.carried or carried,
        )
    ]
    yield from mistakes
    if mistakes:
        return
    if not candidate.carried:
        what = f"route {candidate.route.name!r} matches no type of message"
        yield candidate.route.finding(f"{what}; its conditions on message_type exclude all; correct them", "name")
        return
    conjoined = [each for each in candidate.conditions if isinstance(each, Comparison)]
    for one, other in islice(combinations(conjoined, 2), _MOST_PAIRS):
        if contradicts(one, other, candidate.types_of):
            what = f"route {candidate.route.name!r} is impossible"
            why = f"{_quoted(other)} contradicts {_quoted(one)} of line {one.line}"
            yield other.finding(f"{what}; {why}; correct one of them")
            return


def _quoted(comparison: Comparison) -> str:
    value = comparison.value
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
    return f"`{comparison.field} {comparison.operator} {text}`"


def _lint_shadows(candidates: Sequence[Candidate]) -> Iterator[Finding]:
    for later, earlier in shadowed(candidates):
        what = f"route {later.route.name!r} gets no message"
        why = f"{earlier.route.name!r} in line {earlier.route.line} matches all that it does, and comes first"
        yield later.route.finding(f"{what}; {why}; move it up or remove it", "name")
