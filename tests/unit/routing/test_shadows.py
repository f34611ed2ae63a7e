"""The short cut to the routes that may take all of a later one's misses none of them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.routing.field_types import FieldTypes
from streams.routing.reasoning import implies
from streams.routing.shadows import Candidate, shadowed
from streams.topology.conditions import AllOf, AnyOf, Condition, Not
from streams.topology.model import Route
from tests.unit.routing.condition_strategies import comparisons_on, conditions
from tests.unit.routing.shop import contracts

SHOP = contracts()
TYPES = FieldTypes(SHOP)


def candidate(*all_of: Condition) -> Candidate:
    return Candidate(
        Route(name="any", conditions=AllOf(conditions=all_of), destinations=()), all_of, tuple(SHOP), TYPES, {}
    )


@st.composite
def related(draw: st.DrawFn) -> Condition:
    """Conditions on few fields, so that some imply others."""
    fields = st.sampled_from(["headers.weight", "payload.total_amount"]).flatmap(comparisons_on)
    one, other = draw(fields), draw(fields | conditions)
    either: Condition = AnyOf(conditions=(one, other))
    return draw(
        st.sampled_from([one, either, AnyOf(conditions=(AllOf(conditions=(other, one)), either)), Not(condition=one)])
    )


@given(st.lists(st.lists(related(), max_size=2), min_size=2, max_size=5))
@settings(max_examples=150, deadline=None)
def test_the_first_route_that_takes_all_is_found_as_by_comparing_every_pair(routes: list[list[Condition]]) -> None:
    candidates = [candidate(*each) for each in routes]

    def covers(earlier: Candidate, later: Candidate) -> bool:
        return all(
            any(implies(given_one, wanted, later.types_of) for given_one in later.conditions)
            for wanted in earlier.conditions
        )

    expected = [
        (later, next(each for each in candidates[:position] if covers(each, later)))
        for position, later in enumerate(candidates)
        if any(covers(each, later) for each in candidates[:position])
    ]
    found = list(shadowed(candidates))
    assert [tuple(map(id, pair)) for pair in found] == [tuple(map(id, pair)) for pair in expected]
