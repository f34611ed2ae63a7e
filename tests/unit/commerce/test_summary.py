from streams.commerce.demo.run import summary_of


def test_what_topology_apply_did_is_counted_by_kind() -> None:
    lines = [
        "created topic orders.inbound: 4 partitions, replication 1",
        "created topic order-events: 4 partitions",
        "registered contract commerce.order: version 1, id 1",
        "preset offsets of group headrace.router: orders.inbound/0,1 to the start",
    ]
    assert summary_of(lines) == "created topic (2), registered contract (1), preset offsets of group (1)"


def test_a_second_apply_has_nothing_to_tell() -> None:
    assert summary_of([]) == "nothing to do"
