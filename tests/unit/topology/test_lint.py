"""What lint says of a file whose shape is right."""

import pytest

from streams.topology.lint import lint
from streams.topology.loading import parse_topology

ROUTES = "routes: [{name: r, destinations: [{topic: out}]}]"


def findings(text: str) -> list[str]:
    topology = parse_topology(f"version: 1\n{text}", "t.yaml", {})
    return [finding.render("t").removeprefix("t:") for finding in lint(topology, {"order", "shop.item"})]


def routers(text: str, topics: str = "in: {partitions: 4}, two: {partitions: 4}, out: {partitions: 2}") -> list[str]:
    return findings(f"topics: {{{topics}}}\nrouters:\n{text}")


def test_a_sound_topology_has_no_findings() -> None:
    assert routers(f"  - {{source: in, {ROUTES}}}\n  - {{source: two, unmatched: out, {ROUTES}}}") == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b", "illegal topic name 'a b'"),
        ("ä", "illegal topic name"),
        ("..", "illegal topic name '..'"),
        ("a" * 250, "at most 249"),
        ("headrace.x", "is declared; names in headrace."),
        ("__consumer_offsets", "is declared"),
        ("shop.events", "is derived from its aggregate"),
        ("o.k", "collides with 'o_k'"),
    ],
)
def test_names_that_kafka_or_headrace_would_refuse(name: str, said: str) -> None:
    found = findings(
        f"aggregates: [{{name: shop, class: 'a:B', id: payload.x, partitions: 1}}]\n"
        f"topics:\n  o_k: {{partitions: 1}}\n  '{name}': {{partitions: 1}}"
    )
    assert len(found) == 1
    assert found[0].startswith("5:3: ")
    assert said in found[0]


def test_the_longest_name_is_legal() -> None:
    assert findings(f"topics: {{{'a' * 249}: {{partitions: 1}}}}") == []


def test_contracts_must_exist_and_be_named_once() -> None:
    assert findings(
        "topics: {a: {partitions: 1, contracts: [order, ordr, order]}}\ncontracts: {Place: {key: payload.x}}"
    ) == [
        "2:48: no contract 'ordr'; its schema is not in the folder of schemas; did you mean 'order'?",
        "2:54: contract 'order' again; once is enough; remove it",
        "3:13: no contract 'Place'; its schema is not in the folder of schemas; add Place.avsc or correct the name",
    ]


def test_full_names_of_contracts_are_known() -> None:
    assert findings("topics: {a: {partitions: 1, contracts: [shop.item]}}") == []


def test_a_topic_carries_contracts_or_a_format() -> None:
    (found,) = findings("topics: {a: {partitions: 1, contracts: [order], format: csv}}")
    assert "has contracts and a format" in found


def test_partitions_and_replication_may_be_exchanged() -> None:
    (found,) = findings("topics: {a: {partitions: 3, replication: 12}}")
    assert found.startswith("2:42: 12 copies of 3 partitions")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("routers: [{source: x, routes: [{name: r, destinations: [{topic: a}]}]}]", "3:20"),
        ("routers: [{source: a, unmatched: x, routes: [{name: r, destinations: [{topic: b}]}]}]", "3:34"),
        ("routers: [{source: a, routes: [{name: r, destinations: [{queue: x}]}]}]", "3:65"),
        ("transformations: [{source: x, to: order, destination: b}]", "3:28"),
        ("patterns: [{name: p, kind: wire_tap, source: a, destination: x}]", "3:62"),
        ("projections: [{name: p, class: 'a:B', sources: [a, x]}]", "3:52"),
        ("security: {signed: [x]}", "3:21"),
    ],
)
def test_undeclared_topics_are_found_wherever_they_are_named(text: str, place: str) -> None:
    (found,) = findings(f"topics: {{a: {{partitions: 1}}, b: {{partitions: 1}}}}\n{text}")
    assert found.startswith(f"{place}: undeclared topic 'x' as ")


def test_a_mistyped_topic_is_answered_with_the_nearest_one() -> None:
    found = routers("  - {source: tow, routes: [{name: r, destinations: [{queue: outt}]}]}")
    assert [each.rpartition("; ")[2] for each in found] == ["did you mean 'two'?", "did you mean 'out'?"]


def test_topics_of_aggregates_need_no_declaration() -> None:
    aggregate = "aggregates: [{name: shop, class: 'a:B', id: payload.x, partitions: 1}]\n"
    assert findings(f"{aggregate}projections: [{{name: p, class: 'a:B', sources: [shop.events]}}]") == []


def test_sources_of_one_stage_have_one_partition_count() -> None:
    (found,) = routers(
        f"  - {{source: in, {ROUTES}}}\n  - {{source: out, routes: [{{name: r, destinations: [{{topic: two}}]}}]}}"
    )
    assert found.startswith("5:14: 'out' has 2 partitions, 'in' has 4")


def test_another_stage_may_have_another_partition_count() -> None:
    apart = "  - {source: out, stage: b, routes: [{name: r, destinations: [{topic: two}]}]}"
    assert routers(f"  - {{source: in, {ROUTES}}}\n{apart}") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"  - {{source: in, {ROUTES}}}\n  - {{source: in, {ROUTES}}}", "a second router of 'in'"),
        (f"  - {{source: in, stage: transformer, {ROUTES}}}", "other kinds of stages"),
        (f"  - {{source: in, stage: projections.x, {ROUTES}}}", "other kinds of stages"),
        ("  - {source: in, routes: [{name: r, destinations: [{topic: in}]}]}", "would circle"),
        ("  - {source: in, routes: [{name: r, destinations: [{topic: out}, {queue: out}]}]}", "'out' again"),
        ("  - {source: in, routes: [{name: r, destinations: [{queue: out, subscription: s}]}]}", "of a queue"),
    ],
)
def test_routers_that_could_not_work(text: str, said: str) -> None:
    (found,) = routers(text)
    assert said in found


def test_two_readers_may_not_share_a_group() -> None:
    (found,) = routers(
        "  - {source: in, routes: [{name: r, destinations: [{queue: out.s}, {topic: out, subscription: s}]}]}",
        "in: {partitions: 1}, out: {partitions: 1}, out.s: {partitions: 1}",
    )
    assert "consumer group 'out.s' for two readers" in found


def test_one_topic_may_have_many_subscriptions() -> None:
    two = "[{topic: out, subscription: a}, {topic: out, subscription: b}]"
    assert routers(f"  - {{source: in, routes: [{{name: r, destinations: {two}}}]}}") == []


def test_static_membership_is_refused_with_the_consumer_protocol() -> None:
    (found,) = findings("stages: {s: {group_protocol: consumer, static_membership: true}}")
    assert found.startswith("2:59: static membership")
