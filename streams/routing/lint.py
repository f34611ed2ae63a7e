"""Checks of routers against contracts: conditions that mean nothing, and routes that can never get a message.

Pure: topology and contracts in, findings with positions out. What the file's shape shows is found when it is read, what
needs no contract in streams/topology.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from streams.messages.contracts import Contract, Contracts
from streams.routing.comparison_lint import lint_comparison
from streams.routing.conditions import conjuncts
from streams.routing.field_types import Types, types_of
from streams.routing.fields import parse_field
from streams.routing.operators import readings
from streams.routing.reasoning import contradicts, implies
from streams.routing.sources import contracts_of, is_known
from streams.routing.texts import text_test
from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not
from streams.topology.findings import Finding
from streams.topology.model import Route, Router, Topology


def lint(topology: Topology, contracts: Contracts) -> list[Finding]:
    """Findings about the routers of `topology`."""
    findings: list[Finding] = []
    for router in topology.routers:
        names = contracts_of(router.source, topology, contracts)
        carried = [contracts[name] for name in names if name in contracts]
        if carried:
            findings += _lint_router(router, carried, contracts)
        elif not names and is_known(router.source, topology):  # else streams/topology finds what is unknown
            findings.append(_without_contracts(router))
    return sorted(set(findings))


@dataclass(frozen=True)
class _Candidate:
    """A route with what lint knows of it.

    Args:
        route: as written.
        conditions: those that must all hold.
        carried: contracts of the messages that its conditions on the type let through.
        contracts: all of them.
        pins: fields that must have one value; tells most pairs of 1,000 routes apart at once.
    """

    route: Route
    conditions: tuple[Condition, ...]
    carried: tuple[Contract, ...]
    contracts: Contracts
    pins: Mapping[str, object]

    def types_of(self, field: str) -> Types:
        """Types of a field in the messages that can come to this route."""
        found = parse_field(field)
        return types_of(found, self.contracts, self.carried) if found else frozenset()


def _without_contracts(router: Router) -> Finding:
    what = f"{router.source!r} has no contracts"
    return router.finding(f"{what}; a router checks each message's schema id; give the topic contracts", "source")


def _lint_router(router: Router, carried: Sequence[Contract], contracts: Contracts) -> Iterator[Finding]:
    if router.unmatched == router.source:
        what = f"{router.source!r} is the router's own source"
        yield router.finding(f"{what}; unmatched messages would circle; use deadletter or drop", "unmatched")
    possible: list[_Candidate] = []
    for route in router.routes:
        candidate = _candidate(route, carried, contracts)
        findings = list(_lint_route(candidate, carried))
        yield from findings
        if not findings:
            possible.append(candidate)
    if router.mode == "first":
        yield from _lint_shadows(possible)


def _candidate(route: Route, carried: Sequence[Contract], contracts: Contracts) -> _Candidate:
    conditions = tuple(conjuncts(route.conditions))
    matching = tuple(each for each in carried if not any(_denies(condition, each) for condition in conditions))
    pins = {
        each.field: value
        for each in conditions
        if isinstance(each, Comparison) and (value := _pinned(each, matching, contracts)) is not None
    }
    return _Candidate(route, conditions, matching, contracts, pins)


def _pinned(comparison: Comparison, carried: Sequence[Contract], contracts: Contracts) -> object:
    """The one value that a field must have, as at run time; None where several could do."""
    found = parse_field(comparison.field)
    if comparison.operator != "equals" or found is None or "[*]" in comparison.field:
        return None
    types = types_of(found, contracts, carried)
    if types == {bytes}:
        return comparison.value if isinstance(comparison.value, str) else None
    return readings(comparison.value).get(next(iter(types))) if len(types) == 1 else None


def _type_test(condition: Condition, contract: Contract) -> bool | None:
    """Answer of a condition on the message's type; None for any other condition."""
    if not isinstance(condition, Comparison) or condition.field != "message_type":
        return None
    return text_test(condition.operator, condition.value)(contract.name.encode())


def _denies(condition: Condition, contract: Contract) -> bool:
    if isinstance(condition, Comparison) and condition.operator == "matches":
        return False  # its pattern may be none
    return _type_test(condition, contract) is False


def _lint_route(candidate: _Candidate, carried: Sequence[Contract]) -> Iterator[Finding]:
    mistakes = [
        finding
        for comparison in _comparisons(candidate.route.conditions)
        for finding in lint_comparison(
            comparison,
            candidate.contracts,
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
    comparisons = [each for each in candidate.conditions if isinstance(each, Comparison)]
    for one, other in combinations(comparisons, 2):
        if contradicts(one, other, candidate.types_of):
            what = f"route {candidate.route.name!r} is impossible"
            why = f"{_quoted(other)} contradicts {_quoted(one)} of line {one.line}"
            yield other.finding(f"{what}; {why}; correct one of them")
            return


def _comparisons(condition: Condition) -> Iterator[Comparison]:
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.conditions:
            yield from _comparisons(each)
    elif isinstance(condition, Not):
        yield from _comparisons(condition.condition)
    else:
        yield condition


def _quoted(comparison: Comparison) -> str:
    value = comparison.value
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
    return f"`{comparison.field} {comparison.operator} {text}`"


def _lint_shadows(candidates: Sequence[_Candidate]) -> Iterator[Finding]:
    for position, later in enumerate(candidates):
        earlier = next((each for each in candidates[:position] if _covers(each, later)), None)
        if earlier is not None:
            what = f"route {later.route.name!r} gets no message"
            why = f"{earlier.route.name!r} in line {earlier.route.line} matches all that it does, and comes first"
            yield later.route.finding(f"{what}; {why}; move it up or remove it", "name")


def _covers(earlier: _Candidate, later: _Candidate) -> bool:
    """Whether every message that `later` matches is matched by `earlier`."""
    if any(later.pins.get(field, pinned) != pinned for field, pinned in earlier.pins.items()):
        return False
    return all(
        all(_type_test(wanted, contract) for contract in later.carried)
        or any(implies(given, wanted, later.types_of) for given in later.conditions)
        for wanted in earlier.conditions
    )
