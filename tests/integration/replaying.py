"""A cluster with the example's router and a counting stage of two sources, and `headrace` as an operator runs it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import (
    Producer,  # noqa: TID251 the world outside
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.group_offsets import committed_offsets
from streams.engine.topic_reader import read_topics
from tests.chaos.domain import FOLLOW, LEAD
from tests.integration.command_line import Answer, headrace

HEADRACE = Path(sys.executable).with_name("headrace")
SOURCE, ROUTED = "orders.inbound", "standard-processing"
ROUTER, COUNTING = "headrace.router", "headrace.counting"
PARTITIONS = 4
WAIT_S = 60.0


@dataclass(frozen=True)
class Operator:
    """Somebody at a shell; stages have four partitions of each source."""

    settings: Settings
    environment: dict[str, str]
    admin: AdminClient

    def headrace(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        return headrace({**self.environment, **environment}, *arguments, stdin=stdin)

    def done(self, *arguments: str, stdin: str = "") -> str:
        answer = self.headrace(*arguments, stdin=stdin)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def replay(self, *arguments: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.done("replay", *arguments, "--output", "json"))
        return rows

    def refused(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code and the one line of a replay that does nothing."""
        answer = self.headrace("replay", *arguments, **environment)
        assert answer.stdout == ""
        (line,) = answer.stderr.splitlines()
        return answer.returncode, line

    def set_up(self) -> None:
        for future in self.admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (LEAD, FOLLOW)]).values():
            future.result(30)
        self.done("topology", "apply")

    def send_orders(self, *numbers: int) -> None:
        order = {"customer_id": "C-1", "total_amount": "20.00", "currency": "EUR", "country": "FR", "note": None}
        lines = [json.dumps({**order, "order_id": f"ORD-{number}", "lines": []}) for number in numbers]
        self.done("send", "order", "--topic", SOURCE, stdin="\n".join(lines))

    def produce(self, topic: str, partition: int, *timestamps_ms: int) -> None:
        producer, errors = Producer(self.settings.kafka_config()), list[object]()
        for timestamp_ms in timestamps_ms:
            producer.produce(
                topic, b"x", b"k", partition, lambda error, _: errors.append(error), timestamp=timestamp_ms
            )
        assert producer.flush(20) == 0
        assert set(errors) == {None}

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        cut = TopicPartition(topic, partition, offset)
        self.admin.delete_records([cut])[cut].result(30)

    def offsets(self, group: str, *topics: str) -> dict[tuple[str, int], int]:
        """Offsets that the group has."""
        asked = [(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        found = committed_offsets(self.settings.kafka_config(), group, asked)
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def routed(self) -> list[bytes]:
        """Keys that the router has put into its queue."""
        keys: list[bytes] = []
        read_topics(self.settings, [ROUTED], lambda records: keys.extend(record.key() or b"" for record in records))
        return sorted(keys)

    @contextmanager
    def worker(self, stage: str, log: Path) -> Iterator[None]:
        """A worker of the stage, ended by SIGTERM."""
        with log.open("w") as words:
            process = subprocess.Popen([HEADRACE, "worker", stage], env=self.environment, stderr=words)
        try:
            yield
            process.terminate()
            assert process.wait(WAIT_S) == 0, log.read_text()
        finally:
            process.kill()
            process.wait(WAIT_S)

    def route_all(self, count: int, log: Path) -> None:
        """Run a worker until the router stands at the end of its `count` records, then stop it."""
        with self.worker("router", log):
            await_condition(lambda: sum(self.offsets(ROUTER, SOURCE).values()) == count, WAIT_S, log.read_text())
