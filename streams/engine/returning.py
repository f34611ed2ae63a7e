"""Records of a stage's redrive topic: dead letters that return to their place, or are given up (design, section 7)."""

from confluent_kafka import Message

from streams.engine.batch import Batch
from streams.engine.dead_letters import ERROR, original_headers
from streams.engine.deferral import Deferral
from streams.engine.parked_record import Headers, ParkedRecord
from streams.engine.retrying import HOLDING
from streams.engine.stage import StageSpec
from streams.errors import InvalidMessage, KeyHeld, UnreadableHeaders

ACTION = "headrace-action"
REDRIVE, DISCARD = b"redrive", b"discard"
_MOST_DIGITS = 19


def take_back(batch: Batch, deferral: Deferral, spec: StageSpec) -> None:
    """Handle a batch of the redrive topic, on the engine's thread: no agent sees it."""

    def handle(record: Message) -> None:
        headers = _headers_of(record)
        by_name = dict(headers)
        letter = _original(record, headers, by_name, spec)
        action = by_name.get(ACTION)
        if action == REDRIVE:
            holding = (by_name.get("headrace-category") or b"").decode("utf-8", "replace") in HOLDING
            deferral.redrive(letter, letter.carried, holding=holding)
        elif action == DISCARD:
            deferral.discard(letter)
        else:
            raise InvalidMessage(f"header {ACTION}: expected redrive or discard, got {action!r:.60}")

    batch.each(handle)


def bury(batch: Batch) -> None:
    """Make dead letters of parked records whose key is held, on the engine's thread."""

    def handle(_record: Message) -> None:
        raise KeyHeld("an earlier record of its key became a dead letter; redrive or discard that one")

    batch.each(handle)


def _headers_of(record: Message) -> Headers:
    try:
        return list(record.headers() or ())  # type: ignore[arg-type]  # bytes when consumed
    except (UnicodeDecodeError, SystemError) as error:
        raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error


def _original(record: Message, headers: Headers, by_name: dict[str, bytes | None], spec: StageSpec) -> ParkedRecord:
    """The record as it was when it failed, from the letter's headers."""
    topic = (by_name.get(ERROR + "topic") or b"").decode("utf-8", "replace")
    partition, offset = _number(by_name, "partition"), _number(by_name, "offset")
    if topic not in spec.read_by_agents:
        raise InvalidMessage(f"header {ERROR}topic: expected {' or '.join(spec.read_by_agents)}, got {topic!r:.60}")
    if partition != record.partition():
        raise InvalidMessage(
            f"header {ERROR}partition: expected {record.partition()}, where this record is, got {partition}"
        )
    timestamp_ms = max(record.timestamp()[1], 0)
    return ParkedRecord(
        b"", 0, topic, partition, offset, timestamp_ms, record.key(), record.value(), original_headers(headers)
    )


def _number(by_name: dict[str, bytes | None], name: str) -> int:
    raw = by_name.get(ERROR + name) or b""
    if not raw.isdigit() or len(raw) > _MOST_DIGITS:
        raise InvalidMessage(f"header {ERROR}{name}: expected a whole number, got {raw!r:.60}")
    return int(raw)
