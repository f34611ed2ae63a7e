"""Letters for tests: records of a dlq as a consumer gives them, and tables and topics in memory that they go to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.deadletters.letter import Letter
from streams.deadletters.policy import LetterPolicy
from streams.engine.dead_letters import Failure, Headers, dead_letter_headers
from streams.engine.parked_record import ParkedRecord
from streams.engine.retrying import RetryPolicy
from streams.errors import (
    BusinessRuleViolation,
    Category,
    InvalidMessage,
    KeyHeld,
    MessageExpired,
    NoRouteMatches,
    TransientError,
)

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
ERRORS: Mapping[Category, Exception] = {
    Category.INVALID_FORMAT: InvalidMessage("expected magic byte 0x00, got 0x68"),
    Category.EXPIRED: MessageExpired("its ttl of 3 s had run out"),
    Category.UNROUTABLE: NoRouteMatches("no route matches"),
    Category.BUSINESS_RULE: BusinessRuleViolation("not while it is shipped", route="all"),
    Category.TRANSIENT: TransientError("the other side is down"),
    Category.UNKNOWN: ValueError("a bug"),
    Category.HELD: KeyHeld("an earlier record of its key became a dead letter"),
}
POLICY = LetterPolicy(
    automatic=frozenset({Category.TRANSIENT.value}),
    attempts=2,
    backoff=RetryPolicy(initial_s=60, factor=5, max_s=3600, jitter=0),
    webhook="http://127.0.0.1:1/hook",
    returning=frozenset({"router"}),
)


def letter_record(
    category: Category = Category.UNKNOWN,
    *,
    offset: int = 0,
    at: int = 0,
    key: bytes | None = b"k",
    stage: str = "router",
    failed_at: float = NOW_MS / 1000,
    own: Headers = (("ce_id", b"1"),),  # type: ignore[assignment]  # any sequence will do
) -> ParkedRecord:
    """The letter at offset `at` of a dlq, of the record at `offset` of partition 3 of orders.inbound."""
    failure = Failure(
        stage=stage, topic="orders.inbound", partition=3, offset=offset, error=ERRORS[category],
        route=getattr(ERRORS[category], "route", None), failed_at=failed_at, attempts=4,
    )  # fmt: skip
    headers: Any = dead_letter_headers(list(own), failure)
    return ParkedRecord(b"", 0, f"headrace.{stage}.dlq", 1, at, NOW_MS - 5, key, b"payload %d" % offset, headers)


@dataclass
class MemoryRows:
    """A table as the engine's: JSON goes in, a fresh object comes out."""

    rows: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, key: bytes, default: Any = None) -> Any:
        return orjson.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: bytes, value: Any) -> None:
        self.rows[key] = orjson.dumps(value)

    def delete(self, key: bytes) -> None:
        self.rows.pop(key, None)

    def keys(self, prefix: bytes) -> list[bytes]:
        return sorted(key for key in self.rows if key.startswith(prefix))


@dataclass(frozen=True)
class Sent:
    topic: str
    value: bytes | None
    key: bytes | None
    partition: int
    timestamp_ms: int
    headers: dict[str, Any]


@dataclass
class MemoryScope:
    """What the stage writes and sends."""

    tables: dict[str, MemoryRows] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def state(self, table: str) -> MemoryRows:
        return self.tables.setdefault(table, MemoryRows())

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: Headers | None = None,
    ) -> None:
        self.sent.append(Sent(topic, value, key, partition, timestamp_ms, dict(headers or ())))

    def letters(self) -> list[Letter]:
        rows = self.state("letters")
        return [Letter.of_row(rows.get(key)) for key in rows.keys(b"")]
