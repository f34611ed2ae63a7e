"""Random conditions and messages whose values often meet."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not

TEXTS = ("", "a", "ab", "order", "refund", "high", "5", "5.0", "1e1", "-3", "abc\u00e9", "12.5", "2027-01-15")
TIMES = ("2027-01-15T07:59:59Z", "2027-01-15T08:59:59+01:00", "2020-02-29T00:00:00.5Z")
NUMBERS = (0, 5, -3, 10, Decimal("5.0"), Decimal("12.5"), Decimal("0.1"), Decimal("1E+1"), 2**60)
PATTERNS = ("a", "^ab?$", "[0-9]+", "b$", "")
FIELDS = (
    "message_type", "message_id", "correlation_id", "source", "timestamp", "key", "headers.priority", "headers.weight",
    "payload.order_id", "payload.total_amount", "payload.weight", "payload.gift", "payload.placed_at", "payload.note",
    "payload.lines[*].sku", "payload.lines[*].quantity", "payload.lines[0].quantity", "payload.lines[1].sku",
    "payload.attributes.color", "payload.reason", "payload.nowhere",
)  # fmt: skip
ORDERED = ("greater_than", "greater_or_equal", "less_than", "less_or_equal")

texts = st.sampled_from((*TEXTS, *TIMES))
scalars = texts | st.sampled_from(NUMBERS)


def operands(name: str) -> st.SearchStrategy[Any]:
    if name == "exists":
        return st.booleans()
    if name == "matches":
        return st.sampled_from(PATTERNS)
    if name in {"in", "not_in"}:
        return st.lists(scalars | st.booleans(), min_size=1, max_size=4).map(tuple)
    if name == "between":
        return st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)) | st.tuples(texts, texts)
    if name in ORDERED:
        return scalars
    return texts if name in {"starts_with", "ends_with", "contains"} else scalars | st.booleans()


OPERATORS = (
    *ORDERED, "equals", "not_equals", "between", "in", "not_in", "contains", "starts_with", "ends_with", "matches",
    "exists",
)  # fmt: skip


def comparisons_on(field: str) -> st.SearchStrategy[Comparison]:
    return st.sampled_from(OPERATORS).flatmap(
        lambda name: st.builds(Comparison, field=st.just(field), operator=st.just(name), value=operands(name))
    )


comparisons = st.sampled_from(FIELDS).flatmap(comparisons_on)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(AllOf, conditions=st.lists(inner, max_size=4).map(tuple))
        | st.builds(AnyOf, conditions=st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Not, condition=inner)
    ),
    max_leaves=8,
)
amounts = st.sampled_from([Decimal(text) for text in ("0", "5", "12.5", "0.1", "-3", "10")])
instants = st.sampled_from([datetime.fromisoformat(text) for text in TIMES])
orders = st.fixed_dictionaries(
    {
        "order_id": texts,
        "total_amount": amounts,
        "weight": st.none() | st.sampled_from([0.1, 5.0, 12.5, float("nan"), float("inf")]),
        "gift": st.booleans(),
        "placed_at": st.none() | instants,
        "lines": st.lists(
            st.fixed_dictionaries({"sku": texts, "quantity": st.sampled_from([0, 5, -3, 10])}), max_size=3
        ),
        "attributes": st.dictionaries(st.sampled_from(["color", "size"]), texts),
        "note": st.none() | texts,
    }
)
refunds = st.fixed_dictionaries({"order_id": texts, "reason": texts})
more_headers = st.dictionaries(
    st.sampled_from(["priority", "weight", "ce_correlationid"]), (texts | st.just("high")).map(str.encode)
)
typed_payloads = st.tuples(st.just("order"), orders) | st.tuples(st.just("refund"), refunds)
