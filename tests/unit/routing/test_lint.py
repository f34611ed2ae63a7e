import time
from collections.abc import Callable

import pytest

from streams.routing.lint import lint
from streams.routing.router import compile_router
from tests.unit.routing.shop import NOW, contracts, registered, topology

TO = "destinations: [{queue: standard}]"


def findings(conditions: str, source: str = "shop.mixed") -> list[str]:
    """Messages about one route with these conditions."""
    return lint_text(f"{{name: a, conditions: [{conditions}], {TO}}}", source=source)


def lint_text(routes: str, *, source: str = "shop.mixed", options: str = "mode: first") -> list[str]:
    text = f"routers:\n  - source: {source}\n    {options}\n    routes:\n      [{routes}]\n"
    return [found.message for found in lint(topology(text), contracts())]


def comparison(field: str, operator: str, value: object) -> str:
    return f"{{field: '{field}', operator: {operator}, value: {value}}}"


SOUND = [
    ("message_type", "equals", "order"),
    ("message_type", "matches", "^ord"),
    ("message_id", "starts_with", "a"),
    ("timestamp", "greater_than", "'2027-01-15T00:00:00Z'"),
    ("key", "in", "[a, b]"),
    ("headers.priority", "equals", "high"),
    ("headers.weight", "between", "[1, 2.5]"),
    ("headers.weight", "in", "[1, heavy]"),
    ("payload.order_id", "matches", "'^ORD-[0-9]+$'"),
    ("payload.reason", "equals", "broken"),
    ("payload.total_amount", "greater_than", "1000"),
    ("payload.total_amount", "equals", "'12.50'"),
    ("payload.weight", "less_than", "0.5"),
    ("payload.gift", "equals", "true"),
    ("payload.placed_at", "less_than", "'2027-01-15T00:00:00Z'"),
    ("payload.lines[*].quantity", "greater_than", "3"),
    ("payload.lines[0].sku", "equals", "a"),
    ("payload.attributes.color", "equals", "red"),
    ("payload.lines", "exists", "true"),
]


@pytest.mark.parametrize(("field", "operator", "value"), SOUND)
def test_a_sound_condition_is_not_found(field: str, operator: str, value: str) -> None:
    assert findings(comparison(field, operator, value)) == []


WRONG = [
    (("payload.totl_amount", "equals", "5"), "did you mean payload.total_amount?"),
    (("payload.lines.sku", "equals", "a"), "no field 'payload.lines.sku' in order or refund"),
    (("payload.total_amount", "equals", "high"), "'payload.total_amount' is a decimal, 'high' is not"),
    (("payload.lines[*].quantity", "equals", "two"), "is a whole number"),
    (("payload.gift", "equals", "1"), "is true or false"),
    (("payload.placed_at", "less_than", "yesterday"), "an RFC 3339 time"),
    (("payload.total_amount", "contains", "'5'"), "searches in text only"),
    (("payload.order_id", "contains", "5"), "quote it"),
    (("payload.order_id", "matches", "'(a'"), "missing )"),
    (("payload.order_id", "matches", "'(?=a)'"), "no RE2 pattern"),
    (("payload.order_id", "matches", r"'\pL{1,1000}'"), "too large - compile failed; repeat less in it"),
    (("payload.lines", "equals", "a"), "only `exists` can ask for"),
    (("payload.lines[*]", "not_equals", "a"), "only `exists` can ask for"),
    (("message_type", "in", "[order, invoice]"), "no message here has the type 'invoice'"),
    (("message_type", "equals", "5"), "quote it"),
    (("timestamp", "equals", "noon"), "an RFC 3339 time"),
    (("timestamp", "contains", "'2027'"), "searches in text only"),
    (("key", "equals", "5"), "is text"),
    (("headers.flag", "equals", "true"), "text or a number"),
    (("payload.total_amount", "in", "[5, high]"), "'high' is not"),
]


@pytest.mark.parametrize(("condition", "expected"), WRONG)
def test_a_condition_that_means_nothing_is_found(condition: tuple[str, str, str], expected: str) -> None:
    [found] = findings(comparison(*condition))
    assert expected in found
    assert findings(f"{{not: {{any: [{comparison(*condition)}]}}}}") == [found]


def test_a_finding_points_at_what_is_wrong() -> None:
    text = (
        "routers:\n  - source: shop.inbound\n    routes:\n      - name: a\n        conditions:\n"
        "          - {field: payload.nowhere, operator: equals, value: x}\n"
        "          - {field: payload.gift, operator: equals, value: x}\n"
        "        destinations: [{queue: standard}]\n"
    )
    first, second = lint(topology(text), contracts())
    lines = topology(text).routers[0].line
    assert (first.line - lines, first.column) == (4, 21)
    assert (second.line - lines, second.column) == (5, 60)


def test_fields_are_looked_for_in_the_types_that_can_come() -> None:
    only_refunds = comparison("message_type", "equals", "refund")
    assert findings(comparison("payload.total_amount", "greater_than", 5)) == []
    [found] = findings(f"{only_refunds}, {comparison('payload.total_amount', 'greater_than', 5)}")
    assert "in refund" in found


IMPOSSIBLE = [
    (("headers.a", "equals", "x"), ("headers.a", "equals", "y")),
    (("headers.a", "equals", "x"), ("headers.a", "not_equals", "x")),
    (("headers.a", "in", "[x, y]"), ("headers.a", "starts_with", "z")),
    (("headers.a", "equals", "5"), ("headers.a", "greater_than", "6")),
    (("headers.a", "greater_than", "6"), ("headers.a", "less_than", "6")),
    (("payload.total_amount", "between", "[1, 2]"), ("payload.total_amount", "between", "[2.01, 3]")),
    (("payload.total_amount", "greater_than", "2"), ("payload.total_amount", "between", "[1, 2]")),
    (("payload.order_id", "less_than", "b"), ("payload.order_id", "equals", "b")),
    (("payload.placed_at", "less_than", "'2027-01-15T00:00:00Z'"), ("payload.placed_at", "exists", "false")),
    (
        ("payload.placed_at", "less_than", "'2027-01-15T00:00:00Z'"),
        ("payload.placed_at", "greater_than", "'2027-01-15T01:30:00+01:00'"),
    ),
    (("message_type", "equals", "order"), ("message_type", "equals", "refund")),
]
# The last of each pair could hold beside the first, however unlikely.
POSSIBLE = [
    (("headers.a", "equals", "5"), ("headers.a", "starts_with", "'5.'")),
    (("headers.a", "greater_than", "6"), ("headers.a", "less_than", "'5'")),
    (("payload.lines[*].sku", "equals", "a"), ("payload.lines[*].sku", "equals", "b")),
    (("payload.total_amount", "equals", "'5'"), ("payload.total_amount", "equals", "'5.00'")),
    (("payload.total_amount", "between", "[1, 2]"), ("payload.total_amount", "between", "[2, 3]")),
    (("payload.note", "not_equals", "a"), ("payload.note", "exists", "false")),
    (
        ("payload.placed_at", "equals", "'2027-01-15T00:00:00Z'"),
        ("payload.placed_at", "equals", "'2027-01-15T01:00:00+01:00'"),
    ),
]


@pytest.mark.parametrize("pair", IMPOSSIBLE)
def test_conditions_that_rule_each_other_out_are_found(pair: tuple[tuple[str, str, str], ...]) -> None:
    one, other = (comparison(*each) for each in pair)
    for conditions in (f"{one}, {other}", f"{other}, {{all: [{one}]}}"):
        [found] = findings(conditions)
        assert "impossible" in found or "matches no type" in found


@pytest.mark.parametrize("pair", POSSIBLE)
def test_conditions_that_could_both_hold_are_not_found(pair: tuple[tuple[str, str, str], ...]) -> None:
    assert findings(", ".join(comparison(*each) for each in pair)) == []


def shadowed(earlier: str, later: str, **more: str) -> bool:
    found = lint_text(f"{{name: a, conditions: [{earlier}], {TO}}}, {{name: b, conditions: [{later}], {TO}}}", **more)
    assert all("'b' gets no message" in each for each in found)
    return bool(found)


HIGH = comparison("headers.priority", "equals", "high")
TYPE = comparison("message_type", "equals", "order")


def over(amount: float, operator: str = "greater_than") -> str:
    return comparison("payload.total_amount", operator, amount)


def test_a_route_behind_one_that_takes_all_it_could_get_is_found() -> None:
    assert shadowed("", HIGH)
    assert shadowed(HIGH, HIGH)
    assert shadowed(HIGH, f"{TYPE}, {HIGH}")
    assert shadowed(over(1000), over(2000))
    assert shadowed(over(1000, "greater_or_equal"), over(1000))
    assert shadowed(over(5), comparison("payload.total_amount", "in", "[6, 7]"))
    assert shadowed(over(5), comparison("payload.total_amount", "between", "[6, 7]"))
    assert shadowed(comparison("payload.total_amount", "exists", "true"), over(5))
    assert shadowed(f"{{any: [{HIGH}, {over(5)}]}}", over(6))
    assert shadowed(TYPE, "", source="shop.inbound")
    assert shadowed(f"{{not: {HIGH}}}", f"{over(5)}, {{not: {HIGH}}}")


def test_a_route_that_may_still_get_a_message_is_not_found() -> None:
    assert not shadowed(HIGH, "")
    assert not shadowed(f"{TYPE}, {HIGH}", HIGH)
    assert not shadowed(TYPE, "")
    assert not shadowed(over(2000), over(1000))
    assert not shadowed(over(1000), over(1000, "greater_or_equal"))
    assert not shadowed(over(5), f"{{any: [{HIGH}, {over(6)}]}}")
    assert not shadowed(over(5), comparison("payload.total_amount", "in", "[4, 7]"))
    assert not shadowed(comparison("headers.a", "equals", "'5.0'"), comparison("headers.a", "equals", "5"))
    assert not shadowed(HIGH, HIGH, options="mode: all")


def test_a_router_needs_contracts_and_must_not_send_to_itself() -> None:
    text = (
        "routers:\n  - {source: plain, routes: [{name: a, destinations: [{queue: standard}]}]}\n"
        "  - {source: shop.inbound, unmatched: shop.inbound, routes: [{name: a, destinations: [{queue: standard}]}]}\n"
        "  - {source: orders.events, routes: [{name: a, destinations: [{queue: standard}]}]}\n"
    )
    first, second = lint(topology(text), contracts())
    assert "'plain' has no contracts" in first.message
    assert "would circle" in second.message


@pytest.mark.parametrize("source", ["undeclared", "unheard"])
def test_what_is_unknown_about_a_source_is_found_elsewhere_and_once(source: str) -> None:
    assert lint_text(f"{{name: a, {TO}}}", source=source) == []


def regional(n: int) -> str:
    return f"{TYPE}, {comparison('headers.region', 'equals', f'region-{n}')}, {over(n)}"


MANY: dict[str, Callable[[int], str]] = {
    "by region": regional,
    "searches": lambda n: comparison("payload.note", "matches", f"x{n}.*y"),
    "contained": lambda n: comparison("payload.note", "contains", f"x{n}"),
    "excluded": lambda n: comparison("payload.note", "not_in", f"[x{n}, y{n}]"),
    "ranges": lambda n: comparison("payload.total_amount", "between", f"[{n}, {n}.5]"),
    "choices": lambda n: comparison("payload.note", "in", f"[x{n}, y{n}]"),
}


@pytest.mark.parametrize("kind", MANY)
def test_a_thousand_routes_are_checked_in_seconds(kind: str) -> None:
    routes = ",".join(f"{{name: r{n}, conditions: [{MANY[kind](n)}], {TO}}}" for n in range(1000))
    declared = topology(f"routers:\n  - source: shop.mixed\n    mode: first\n    routes: [{routes}]\n")
    started = time.process_time()
    assert lint(declared, contracts()) == []
    compile_router(declared.routers[0], ("order", "refund"), contracts(), registered(), lambda: NOW)
    assert time.process_time() - started < 6


def test_of_a_thousand_routes_the_one_that_repeats_another_is_found() -> None:
    conditions = [comparison("payload.note", "matches", f"x{n}.*y") for n in (*range(999), 500)]
    routes = ",".join(f"{{name: r{n}, conditions: [{each}], {TO}}}" for n, each in enumerate(conditions))
    [found] = lint_text(routes)
    assert "'r999' gets no message; 'r500'" in found
