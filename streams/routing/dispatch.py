"""Which routes to try for a message, and in which order: always the written one.

Routes that can never match a message type are left out for it, and where many routes begin with `equals` on one and
the same header, the header's value finds them: 1,000 routes by region cost one look into a dict, not 1,000 tests.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.routing.conditions import MessageType, Test, always, compile_condition, conjuncts
from streams.routing.fields import parse_field
from streams.topology.conditions import AllOf, Comparison, Condition
from streams.topology.model import Route

# Below this many routes on one header the tests themselves are as fast as the look-up.
INDEX_FROM = 8


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What becomes of a message; told apart by identity, as a key that costs nothing to hash.

    Args:
        routes: names of the routes that matched, in written order; none for an unmatched message.
        topics: where it goes, each once.
        route: the route that names a failure of this message.
    """

    routes: tuple[str, ...]
    topics: tuple[str, ...]
    route: str | None


Rule = tuple[Test, Outcome]


class Rules(NamedTuple):
    """The routes for messages of one schema id.

    Args:
        ce_type: what the header must say.
        header: whose value chooses among `indexed`; None where there is no index.
        indexed: rules to try for each value of that header.
        otherwise: rules to try for any other value.
    """

    ce_type: bytes
    header: str | None
    indexed: Mapping[bytes | None, Sequence[Rule]]
    otherwise: Sequence[Rule]


class _Lead(NamedTuple):
    """A header that has to equal `raw`, and the conditions after it."""

    header: str
    raw: bytes
    rest: Condition


def outcome_of(route: Route) -> Outcome:
    """Outcome of a message that matches `route` alone."""
    return Outcome((route.name,), tuple(dict.fromkeys(each.topic for each in route.destinations)), route.name)


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """Outcome of a message that matches several routes: each topic is entered once."""
    topics = dict.fromkeys(topic for outcome in outcomes for topic in outcome.topics)
    routes = tuple(name for outcome in outcomes for name in outcome.routes)
    return Outcome(routes, tuple(topics), routes[0])


def compile_rules(outcomes: Iterable[tuple[Route, Outcome]], message_type: MessageType) -> Rules:
    """Rules for messages of `message_type`.

    Args:
        outcomes: every route of the router with its outcome, in written order.
        message_type: that the rules are for.

    Raises:
        ValueError: a condition is wrong in a way that lint reports.
    """
    candidates = [
        (_lead(route.conditions, message_type), rule)
        for route, outcome in outcomes
        if (rule := _rule(route.conditions, message_type, outcome))
    ]
    leads = Counter(lead.header for lead, _ in candidates if lead)
    header, count = leads.most_common(1)[0] if leads else ("", 0)
    every_rule = tuple(rule for _, rule in candidates)
    if count < INDEX_FROM:
        return Rules(message_type.name.encode(), None, {}, every_rule)
    on_header: dict[bytes | None, list[Rule]] = {
        lead.raw: [] for lead, _ in candidates if lead and lead.header == header
    }
    otherwise: list[Rule] = []
    for lead, rule in candidates:
        if lead is None or lead.header != header:
            otherwise.append(rule)
            for rules in on_header.values():
                rules.append(rule)
        elif rest := _rule(lead.rest, message_type, rule[1]):
            on_header[lead.raw].append(rest)
    return Rules(message_type.name.encode(), header, on_header, otherwise)


def _rule(condition: Condition, message_type: MessageType, outcome: Outcome) -> Rule | None:
    test = compile_condition(condition, message_type)
    if test is False:
        return None
    return (always if test is True else test), outcome


def _lead(condition: Condition, message_type: MessageType) -> _Lead | None:
    """The header comparison that a route begins with, once what its type decides is gone."""
    remaining = [each for each in conjuncts(condition) if compile_condition(each, message_type) is not True]
    if not remaining:
        return None
    first = remaining[0]
    if not isinstance(first, Comparison) or first.operator != "equals" or not isinstance(first.value, str):
        return None
    found = parse_field(first.field)
    if found is None or found.place not in {"header", "attribute"}:
        return None
    return _Lead(found.name, first.value.encode(), AllOf(conditions=tuple(remaining[1:])))
