"""What lint says of subjects, grants and keys where contracts tag fields."""

from typing import Any

import pytest

from streams.messages.contracts import Contracts, contract_from
from streams.messages.lint import lint
from streams.topology.loading import parse_topology

PII = {"confluent:tags": ["PII"]}
FIELDS: list[dict[str, Any]] = [
    {"name": "order_id", "type": "string"},
    {"name": "number", "type": ["null", "long"], "default": None},
    {"name": "total", "type": "double"},
    {"name": "email", "type": "string", **PII},
    {"name": "lines", "type": {"type": "array", "items": "string"}},
]
ORDER = contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": FIELDS})
PLAIN = contract_from({"type": "record", "name": "plain", "namespace": "shop", "fields": FIELDS[:1]})
SOUND = "security: {subject: {order: payload.order_id}}\n"


def findings(text: str) -> list[str]:
    topology = parse_topology(f"version: 1\n{text}", "t.yaml", {})
    return [finding.render("t").removeprefix("t:") for finding in lint(topology, Contracts([ORDER, PLAIN]))]


@pytest.mark.parametrize("subject", ["order_id", "number", "lines[0]"])
def test_a_sound_subject_is_not_found(subject: str) -> None:
    subjects = f'shop.order: "payload.{subject}", plain: payload.order_id'
    text = f"security: {{subject: {{{subjects}}}, decrypt: {{x: [order]}}}}"
    assert findings(text) == []


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("payload.customer_id", "no such field; order has order_id, number"),
        ("'payload.lines[*]'", "[*] means many"),
        ("payload.email", "tagged PII: to decrypt it one would need it"),
        ("payload.total", "neither text nor a whole number"),
        ("payload.lines", "neither text nor a whole number"),
    ],
)
def test_what_cannot_be_a_subject(subject: str, said: str) -> None:
    found = findings(f"security:\n  subject:\n    order: {subject}\n")
    assert len(found) == 1
    assert found[0].startswith("4:5: ")
    assert said in found[0]


def test_a_contract_with_tagged_fields_needs_a_subject() -> None:
    assert findings("security: {subject: {plain: payload.order_id}}")[0].endswith(
        "contract order tags email PII and has no subject; the subject's key encrypts them; "
        "add order: payload.<field> to security.subject"
    )


def test_unknown_types_are_found() -> None:
    found = findings("security:\n  subject: {order: payload.order_id, ordr: payload.x}\n  decrypt: {x: [nothing]}\n")
    assert [line.split(";")[0] for line in found] == ["3:38: no contract 'ordr'", "4:13: no contract 'nothing'"]


def test_a_key_would_give_away_what_is_encrypted() -> None:
    found = findings(
        SOUND + "topics: {in: {partitions: 1, contracts: [order]}}\n"
        "contracts:\n  order: {key: payload.email}\npatterns:\n"
        "  - {name: a, kind: aggregator, source: in, correlate: payload.email,\n"
        "     complete: {count: 2}, to: o, destination: in}\n"
    )
    assert [line.split(";")[0] for line in found] == [
        "5:16: 'payload.email' is tagged PII",
        "7:56: 'payload.email' is tagged PII",
    ]


COPYING = """topics: {in: {partitions: 1, contracts: [order]}, out: {partitions: 1, contracts: [mail]}}
transformations: [{source: in, to: mail, destination: out}]
mappings:
  - from: order
    to: mail
    fields:
      address: {from: email}
      greeting: {concat: [Dear, " ", TEXT]}
      parts: {each: lines, fields: {text: {from: lines}}}
"""
MAIL = contract_from(
    {
        "type": "record",
        "name": "mail",
        "namespace": "shop",
        "fields": [{"name": "address", "type": "string", **PII}, {"name": "greeting", "type": "string"}],
    }
)


def copying(text: str, grant: str, address: str = "from: email") -> list[str]:
    subjects = "subject: {order: payload.order_id, mail: payload.greeting}"
    whole = (
        f"version: 1\nsecurity: {{{subjects}{grant}}}\n{COPYING.replace('TEXT', text).replace('from: email', address)}"
    )
    found = lint(parse_topology(whole, "t.yaml", {}), Contracts([ORDER, PLAIN, MAIL]))
    return [finding.render("t").removeprefix("t:") for finding in found]


def test_a_granted_stage_may_copy_a_tagged_field_into_a_tagged_one() -> None:
    assert copying("order_id", ", decrypt: {transformer: [order]}") == []


def test_a_copy_into_the_clear_is_refused() -> None:
    [found] = copying("email", ", decrypt: {transformer: [order]}")
    assert found == (
        "10:7: 'email' of order is tagged PII, 'greeting' of mail is not; it would be sent in the clear; "
        "tag the field or leave it out"
    )


def test_a_cast_or_lookup_that_would_quote_a_tagged_field_is_refused() -> None:
    for way in ("from: email, cast: string", "lookup: {table: {a: b}, key: email}"):
        [found] = copying("order_id", ", decrypt: {transformer: [order]}", address=way)
        assert found.startswith("9:7: 'email' of order is tagged PII, and ")
        assert found.endswith("a failure would quote it in a dead letter; copy it as it is")


def test_a_copy_without_a_grant_is_refused() -> None:
    [found] = copying("order_id", "")
    assert found == (
        "4:28: stage 'transformer' copies 'email' of order, which is tagged PII; it may not decrypt it; "
        "add transformer: [order] to security.decrypt, or leave it out of the mapping"
    )
