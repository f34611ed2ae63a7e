"""Kafka's own tool looks at our groups and resets them, under both protocols, and the worker replays exactly."""

from collections import Counter
from pathlib import Path

from confluent_kafka import (
    Message,
    Producer,  # noqa: TID251 a producer that is none of Headrace's
)

from tests.clients.bus import Bus
from tests.clients.documented import PAGE, run_section, section
from tests.clients.orders import ORDER, headers_of
from tests.clients.programs import KafkaTools

OUTPUTS = ("again.classic", "again.consumer")
GROUPS = ("headrace.again-classic", "headrace.again-consumer")
ORDERS = 40
SOURCE = "python"
KEYS = 7


def send_orders(bus: Bus) -> None:
    settings = {"bootstrap.servers": bus.bootstrap_servers, "partitioner": "murmur2_random", "enable.idempotence": True}
    producer = Producer(settings)
    for number in range(ORDERS):
        headers = headers_of(SOURCE, number)
        producer.produce("orders.again", ORDER, f"ORD-{number % KEYS}".encode(), headers=headers)  # type: ignore[arg-type]  # its stub knows no bytes
    assert producer.flush(30) == 0


def ids_by_key(records: list[Message], topic: str) -> dict[bytes | None, list[bytes]]:
    found: dict[bytes | None, list[bytes]] = {}
    for record in records:
        if record.topic() == topic:
            found.setdefault(record.key(), []).append(dict(record.headers() or [])["ce_id"])  # type: ignore[arg-type]
    return found


def owned(described: str, group: str) -> Counter[str]:
    """How many partitions of each topic a member of the group owns."""
    rows = [line.split() for line in described.splitlines() if line.startswith(group)]
    return Counter(row[1] for row in rows if row[6] != "-")


def of_both(text: str) -> str:
    """The page's commands on the two stages that nobody else uses."""
    text = text.replace("--group headrace.router", " ".join(f"--group {group}" for group in GROUPS))
    return text.replace("headrace.router", "headrace.again-...").replace("orders.inbound", "orders.again")


def test_groups_are_described_and_reset_as_documented_and_their_stages_replay_exactly(
    bus: Bus, kafka_tools: KafkaTools, tmp_path: Path
) -> None:
    send_orders(bus)
    first = bus.await_records(dict.fromkeys(OUTPUTS, ORDERS), SOURCE)
    (described,) = run_section(
        of_both(section(PAGE, "Console tools: groups")), bus.with_path(kafka_tools.bin), tmp_path
    )
    assert [owned(described, group) for group in GROUPS] == [{"orders.again": 2}] * 2
    resetting = of_both(section(PAGE, "Console tools: resetting a group"))
    assert bus.stop_worker() == 0
    try:
        run_section(resetting, bus.with_path(kafka_tools.bin), tmp_path)
    finally:
        bus.start_worker()
    both = bus.await_records(dict.fromkeys(OUTPUTS, 2 * ORDERS), SOURCE)
    assert {record.value() for record in both} == {ORDER}
    for topic in OUTPUTS:
        once = ids_by_key(first, topic)
        ids = [ce_id for of_key in once.values() for ce_id in of_key]
        assert sorted(ids) == sorted(f"{SOURCE}-{number}".encode() for number in range(ORDERS))
        assert ids_by_key(both, topic) == {key: 2 * of_key for key, of_key in once.items()}


def test_a_group_whose_stage_runs_is_not_reset(bus: Bus, kafka_tools: KafkaTools) -> None:
    given = (
        "--bootstrap-server",
        bus.bootstrap_servers,
        "--all-topics",
        "--reset-offsets",
        "--to-earliest",
        "--execute",
    )
    groups = [argument for group in GROUPS for argument in ("--group", group)]
    bus.await_running()
    refused = kafka_tools("kafka-consumer-groups.sh", *given, *groups)
    assert (refused.stdout + refused.stderr).count("can only be reset if the group") == len(GROUPS)
