"""The picture of a topology."""

from streams.topology.graph import mermaid
from streams.topology.loading import parse_topology
from tests.unit.topology.clusters import TEXT, topology


def test_the_flow_is_drawn_from_source_to_reader() -> None:
    assert mermaid(topology()).splitlines() == [
        "flowchart LR",
        '  n0[("in")]',
        '  n1[("queue")]',
        '  n2[("out")]',
        '  n3{{"router of in (stage router, first)"}}',
        "  n0 --> n3",
        '  n4["r"]',
        "  n3 --> n4",
        "  n4 --> n1",
        '  n5(["queue queue"])',
        "  n1 --> n5",
        "  n4 --> n2",
        '  n6(["subscription reader"])',
        "  n2 --> n6",
        '  n7[("headrace.router.dlq")]',
        '  n3 -.->|"unmatched or failed"| n7',
    ]


def test_unmatched_messages_are_drawn_where_they_go() -> None:
    drawn = mermaid(topology(TEXT.replace("source: in\n", "source: in\n    unmatched: queue\n")))
    assert '  n3 -->|"unmatched"| n1' in drawn
    assert '  n3 -.->|"failed"| n7' in drawn
    assert "unmatched" not in mermaid(topology(TEXT.replace("source: in\n", "source: in\n    unmatched: drop\n")))


def test_markup_in_a_name_is_text() -> None:
    drawn = mermaid(topology(TEXT.replace("name: r,", "name: '\"]<b>#',")))
    assert '["#quot;]#lt;b#gt;#35;"]' in drawn


def test_patterns_and_calls_stand_between_their_topics() -> None:
    text = """
version: 1
topics: {in: {partitions: 1}, out: {partitions: 1}}
patterns: [{name: tap, kind: wire_tap, source: in, destination: out}]
calls: [{name: pay, url: "http://h", on: Asked, request: {path: /p}, result: {succeeds_with: A, fails_with: B}}]
"""
    drawn = mermaid(parse_topology(text, "t", {}), ways_of=lambda _call: (("in",), ("out",))).splitlines()
    assert drawn[3:] == [
        '  n2[/"wire tap (stage patterns.tap)"/]',
        "  n0 --> n2",
        "  n2 --> n1",
        '  n3[("headrace.patterns.tap.dlq")]',
        '  n2 -.->|"failed"| n3',
        '  n4[/"POST /p (stage calls.pay)"/]',
        '  n0 -->|"Asked"| n4',
        "  n4 --> n1",
        '  n5[("headrace.calls.pay.dlq")]',
        '  n4 -.->|"failed"| n5',
    ]
