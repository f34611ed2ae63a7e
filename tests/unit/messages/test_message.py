"""A record becomes a message, or says which header is wrong."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from streams.errors import InvalidMessage
from streams.messages.message import read_message

Headers = list[tuple[str, bytes | None]]
SOUND: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"m-1"),
    ("ce_type", b"order"),
    ("ce_source", b"test"),
    ("ce_time", b"2026-01-31T12:00:00Z"),
    ("ce_subject", b"ORD-1"),
    ("other", b"\xff\x00"),
]


@dataclass
class Consumed:
    """A record as a consumer gives it."""

    raw: Headers | None = field(default_factory=lambda: list(SOUND))

    def topic(self) -> str:
        return "orders.inbound"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 42

    def key(self) -> bytes:
        return b"ORD-1"

    def value(self) -> bytes:
        return b"\x00"

    def headers(self) -> Headers | None:
        return self.raw

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_769_860_800_000


def test_attributes_are_read_and_other_headers_pass_untouched() -> None:
    message = read_message(Consumed())
    assert (message.id, message.type, message.source, message.subject) == ("m-1", "order", "test", "ORD-1")
    assert message.time == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert message.correlation_id is None
    assert list(message.headers) == SOUND


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"])
def test_a_required_header_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidMessage, match=f"header {name} is missing"):
        read_message(Consumed([each for each in SOUND if each[0] != name]))


@pytest.mark.parametrize(
    ("name", "value"), [("ce_id", b"\xff"), ("ce_subject", b"\xff"), ("ce_specversion", b"0.3"), ("ce_time", b"now")]
)
def test_a_header_that_is_wrong_is_named(name: str, value: bytes) -> None:
    with pytest.raises(InvalidMessage, match=f"header {name}"):
        read_message(Consumed([(each, value if each == name else old) for each, old in SOUND]))


@pytest.mark.parametrize("raw", [None, [], [("trace", b"1")]])
def test_a_plain_record_is_a_message_where_the_topic_has_one_contract(raw: Headers | None) -> None:
    message = read_message(Consumed(raw), only_contract="order")
    assert (message.id, message.type) == ("orders.inbound-3-42", "order")
    assert message.time == datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(InvalidMessage, match="is missing"):
        read_message(Consumed(raw))


def test_half_an_envelope_is_not_plain() -> None:
    with pytest.raises(InvalidMessage, match="ce_specversion is missing"):
        read_message(Consumed([("ce_id", b"m-1")]), only_contract="order")
