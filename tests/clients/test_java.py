"""A Java producer and consumers on Apache Avro around our router: once, unchanged, in order, where Java expects it."""

from typing import Any

from streams.engine.partitioner import partition_of
from tests.clients.bus import Bus
from tests.clients.java_programs import JavaPrograms

Line = dict[str, Any]
PARTITIONS = 4
SOURCE = "java"


def large(line: Line) -> bool:
    return bool(line["headers"]["priority"] == "high")


def content(line: Line) -> tuple[str, str, list[tuple[str, str]]]:
    return line["key"], line["value"], list(line["headers"].items())


def by_key(lines: list[Line]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for line in lines:
        found.setdefault(line["key"], []).append(content(line))
    return found


def test_java_to_java_through_the_router_is_once_unchanged_and_in_order(
    bus: Bus, java: JavaPrograms, sent: list[Line]
) -> None:
    express, standard = [line for line in sent if large(line)], [line for line in sent if not large(line)]
    expected = {
        "orders.inbound": sent,
        "express-processing": express,
        "order-events": express,
        "standard-processing": standard,
    }
    bus.await_records({topic: len(lines) for topic, lines in expected.items()}, SOURCE)
    read = java.run("ReadTopics", bus.bootstrap_servers, "-", "0", *expected)
    assert not any(line["headers"].get("ce_source") == "aborted" for line in read)
    for topic, lines in expected.items():
        found = [line for line in read if line["topic"] == topic and line["headers"].get("ce_source") == SOURCE]
        assert by_key(found) == by_key(lines)
        assert all(line["partition"] == partition_of(line["key"].encode(), PARTITIONS) for line in found)
    first = next(line for line in read if line["headers"].get("ce_id") == f"{SOURCE}-0")
    assert '"order_id": "ORD-1"' in first["order"]
    assert '"total_amount": 1499.00' in first["order"]


def test_java_and_headrace_put_every_key_into_the_same_partition(sent: list[Line]) -> None:
    assert any(not line["key"].isascii() for line in sent)
    assert [line["partition"] for line in sent] == [partition_of(line["key"].encode(), PARTITIONS) for line in sent]


def test_a_subscription_read_by_java_starts_at_its_preset_offset_and_goes_on_where_it_ended(
    bus: Bus, java: JavaPrograms, sent: list[Line]
) -> None:
    expected = sorted(content(line) for line in sent if large(line))
    first_and_rest = f"1,{len(expected) - 1}"
    read = java.run("ReadTopics", bus.bootstrap_servers, "order-events.fraud-detection", first_and_rest, "order-events")
    assert sorted(content(line) for line in read) == expected
