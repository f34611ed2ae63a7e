"""Patterns that cannot work are found before a worker starts."""

import copy
from typing import Any

import pytest

from streams.messages.contracts import Contracts, contract_from
from streams.patterns.lint import lint
from tests.unit.patterns.shop import SCHEMAS, SPLIT, WHOLE, contracts, topology

PICK = WHOLE.replace("lines", "picked").replace("to: order, destination: orders", "to: pick_list, destination: lists")
TAP = "{name: p, kind: wire_tap, source: %s, destination: %s}"
ONCE = "{name: p, kind: idempotent_receiver, source: orders, window: 1d, destination: more.orders}"
ENRICH = "{name: p, kind: enricher, source: orders, table: a.b, key: key, to: order, destination: more.orders}"


def findings(pattern: str) -> list[str]:
    return [each.message for each in lint(topology(pattern), contracts())]


@pytest.mark.parametrize(
    "pattern", [SPLIT, WHOLE, ONCE, TAP % ("orders", "more.orders"), PICK.replace("payload.line_count", "2")]
)
def test_sound_patterns_have_no_findings(pattern: str) -> None:
    assert findings(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (TAP % ("orders", "orders"), "'orders' is the pattern's own source"),
        (TAP % ("more.orders", "orders"), "'orders' carries order, 'more.orders' also order_tag"),
        (TAP % ("csv", "orders"), "'orders' carries order, 'csv' also csv_order"),
        (ENRICH, "no sound way to read the table of another stage"),
        (SPLIT.replace("payload.lines", "payload.line"), "order has no list payload.line"),
        (SPLIT.replace("to: order_line", "to: order_lin"), "did you mean 'order_line'?"),
        (SPLIT.replace("destination: lines", "destination: tags"), "'tags' carries order_tag, not order_line"),
        (SPLIT.replace("source: orders", "source: bare"), "'bare' has no contracts; a splitter reads what comes"),
        (SPLIT.replace("source: orders", "source: more.orders"), "order_tag has no list payload.lines"),
        (WHOLE.replace("correlate: payload.order_id", "correlate: payload.id"), "no field 'payload.id' in order_line"),
        (WHOLE.replace("payload.line_count", "payload.sku"), "count 'payload.sku'; expected a number, or a field"),
        (WHOLE.replace("payload.line_count", "0"), "a group of 0"),
        (WHOLE.replace("count: payload.line_count", ""), "a group that is never whole"),
        (
            WHOLE.replace("count: payload.line_count", "condition: {field: payload.x, operator: exists, value: true}"),
            "no field 'payload.x' in order_line",
        ),
        (PICK.replace("to: pick_list", "to: order_tag").replace("lists", "tags"), "no list of order_tag"),
    ],
)
def test_what_cannot_work_is_found(pattern: str, said: str) -> None:
    assert any(said in message for message in findings(pattern)), findings(pattern)


def tagged(schemas: list[Any], *names: str) -> Contracts:
    """Contracts in which these fields are tagged."""
    changed = copy.deepcopy(schemas)
    for schema in changed:
        for field in schema["fields"]:
            if f"{schema['name']}.{field['name']}" in names:
                field["confluent:tags"] = ["PII"]
    return Contracts([contract_from(schema) for schema in changed])


@pytest.mark.parametrize("pattern", [SPLIT, WHOLE])
def test_a_tagged_field_is_copied_only_into_a_tagged_one_and_with_a_grant(pattern: str) -> None:
    source = "order" if pattern is SPLIT else "order_line"
    both = tagged(SCHEMAS, "order.buyer", "order_line.buyer")
    granted = f'security: {{decrypt: {{"patterns.p": [{source}]}}}}\n'
    assert lint(topology(pattern, granted), both) == []
    (finding,) = lint(topology(pattern), both)
    assert finding.message.startswith(f"patterns.p copies 'buyer' of {source}, which is tagged PII; it may not")
    (finding,) = lint(topology(pattern, granted), tagged(SCHEMAS, f"{source}.buyer"))
    assert "it would be sent in the clear" in finding.message
