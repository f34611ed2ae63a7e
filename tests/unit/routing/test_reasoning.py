from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.routing.field_types import FieldTypes, Types
from streams.routing.fields import parse_field
from streams.routing.reasoning import contradicts, implies
from streams.topology.conditions import Comparison, Condition
from tests.unit.routing.condition_strategies import comparisons_on, conditions, more_headers, typed_payloads
from tests.unit.routing.reference import Decoded, holds
from tests.unit.routing.shop import contracts, headers

SHOP = contracts()
pairs = st.sampled_from(
    [
        "payload.total_amount",
        "payload.order_id",
        "payload.placed_at",
        "payload.lines[*].quantity",
        "headers.weight",
        "timestamp",
    ]
).flatmap(lambda field: st.tuples(comparisons_on(field), comparisons_on(field)))


def types(field: str) -> Types:
    found = parse_field(field)
    assert found is not None
    return FieldTypes(SHOP).of(found, list(SHOP))


def decoded(typed: tuple[str, Mapping[str, Any]], extra: dict[str, bytes]) -> Decoded:
    present = dict(headers(ce_type=typed[0].encode(), **extra))
    return Decoded(typed[0], {name: value for name, value in present.items() if value is not None}, b"key", typed[1])


@given(pairs, typed_payloads, more_headers)
@settings(max_examples=250, deadline=None)
def test_no_message_satisfies_what_is_called_a_contradiction(
    pair: tuple[Comparison, Comparison], typed: tuple[str, Mapping[str, Any]], extra: dict[str, bytes]
) -> None:
    if contradicts(*pair, types):
        assert not all(holds(each, decoded(typed, extra)) for each in pair)


@given(pairs | st.tuples(conditions, conditions), typed_payloads, more_headers)
@settings(max_examples=250, deadline=None)
def test_every_message_satisfies_what_is_called_implied(
    pair: tuple[Condition, Condition], typed: tuple[str, Mapping[str, Any]], extra: dict[str, bytes]
) -> None:
    given_one, wanted = pair
    if implies(given_one, wanted, types) and holds(given_one, decoded(typed, extra)):
        assert holds(wanted, decoded(typed, extra))
