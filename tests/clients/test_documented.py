"""docs/reference/clients.md: its commands of Kafka's console tools and kcat, as they stand there, beside a router."""

import shutil
from pathlib import Path

import pytest
from confluent_kafka import Message

from streams.dev.readiness import await_condition
from streams.engine.partitioner import partition_of
from tests.clients.bus import Bus
from tests.clients.documented import PAGE, run_section, section
from tests.clients.orders import ORDER, ORDER_OF_TEXT, headers_of
from tests.clients.programs import KafkaTools

NO_KCAT = pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not on PATH (Debian: apt-get install kcat)")
PARTITIONS = 4


def sent_by(bus: Bus, topic: str, source: str) -> list[Message]:
    """A topic's messages with exactly the headers of a source, in order."""
    return [record for record in bus.records(topic) if record.headers() == headers_of(source)]


def await_routed(bus: Bus, source: str, text: bytes) -> None:
    """Wait until both that a section wrote, an order and a text, are where they belong."""

    def routed() -> bool:
        letters = [letter.value() for letter in bus.records("headrace.router.dlq")]
        return text in letters and bool(sent_by(bus, "standard-processing", source))

    await_condition(routed, 60, f"what {source} wrote to be routed")


def check_order(bus: Bus, source: str, key: bytes, value: bytes) -> None:
    (sent,) = sent_by(bus, "orders.inbound", source)
    (routed,) = sent_by(bus, "standard-processing", source)
    assert (routed.key(), routed.value(), routed.timestamp()) == (key, value, sent.timestamp())
    assert sent.partition() == routed.partition() == partition_of(key, PARTITIONS)


def test_the_documented_console_tools_write_and_read(bus: Bus, kafka_tools: KafkaTools, tmp_path: Path) -> None:
    environment = bus.with_path(kafka_tools.bin)
    run_section(section(PAGE, "Console tools: writing"), environment, tmp_path)
    await_routed(bus, "console", b"hello")
    check_order(bus, "console", b"ORD-100", ORDER_OF_TEXT)
    run_section(section(PAGE, "Console tools: reading"), environment, tmp_path, at_once=True)


@pytest.mark.soak
def test_the_console_consumer_shows_what_was_aborted_unless_told_otherwise(
    bus: Bus, kafka_tools: KafkaTools, sent: list[object]
) -> None:
    shown = [
        kafka_tools.done(
            "kafka-console-consumer.sh", "--bootstrap-server", bus.bootstrap_servers, "--topic", "orders.inbound",
            "--from-beginning", "--timeout-ms", "5000", "--isolation-level", level, "--formatter-property",
            "print.headers=true", "--formatter-property", "print.value=false",
        )
        for level in ("read_committed", "read_uncommitted")
    ]  # fmt: skip
    assert [text.count("ce_source:java") for text in shown] == [len(sent)] * 2
    assert [text.count("ce_source:aborted") for text in shown] == [0, len(sent)]


@NO_KCAT
def test_the_documented_kcat_writes_and_reads(bus: Bus, tmp_path: Path) -> None:
    run_section(section(PAGE, "kcat: writing"), bus.environment, tmp_path)
    await_routed(bus, "kcat", b"hello from kcat")
    check_order(bus, "kcat", "Bestellung-ä".encode(), ORDER)
    run_section(section(PAGE, "kcat: reading"), bus.environment, tmp_path, at_once=True)
