"""The picture of a topology."""

from streams.topology.graph import mermaid
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
