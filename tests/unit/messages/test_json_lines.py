"""A JSON line becomes a message that begins a conversation."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.errors import InvalidMessage, UsageError
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.json_lines import JsonLines, random_uuid
from streams.messages.registry import Registered
from streams.security.signatures import Signer, Verifier
from tests.unit.security.memory import RING

FIELDS = [{"name": "order_id", "type": "string"}, {"name": "count", "type": ["null", "int"], "default": None}]
ORDER = contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": FIELDS})
CODEC = Codec(Contracts([ORDER]), [Registered("shop.order", 3, 7, ORDER.schema)])


def lines(key_field: str | None = "payload.order_id", **more: Any) -> JsonLines:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    return JsonLines(ORDER, CODEC, key_field, "test", now=lambda: noon, new_id=lambda: "m-1", **more)


def test_a_line_becomes_key_value_and_headers() -> None:
    message = lines().message(b'{"order_id": "ORD-1", "count": 2}')
    assert message.key == b"ORD-1"
    assert CODEC.decode(message.value) == ("order", {"order_id": "ORD-1", "count": 2})
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"m-1",
        "ce_type": b"order",
        "ce_source": b"test",
        "ce_time": b"2026-01-31T12:00:00Z",
        "ce_subject": b"ORD-1",
        "ce_correlationid": b"m-1",
        "ce_dataschema": b"shop.order/3",
        "content-type": b"application/avro",
    }


def test_without_a_key_rule_there_is_no_key() -> None:
    assert lines(None).message(b'{"order_id": "ORD-1"}').key is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{bad", "not JSON: unexpected character, expected a string key at character 2"),
        (b"\xff", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"7", "payload: expected record order, got 7"),
        (b'{"order_id": 7}', "order_id: expected string, got 7"),
        (b'{"order_id": ""}', "payload.order_id: expected the message's key, got nothing"),
    ],
)
def test_a_line_that_does_not_fit_is_invalid(line: bytes, expected: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        lines().message(line)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_absent_from_a_payload_is_invalid() -> None:
    with pytest.raises(InvalidMessage, match="expected the message's key, got nothing"):
        lines("payload.count").message(b'{"order_id": "ORD-1"}')


def test_a_key_rule_beside_the_payload_is_refused() -> None:
    with pytest.raises(UsageError, match="below payload"):
        lines("headers.tenant")


def test_ids_are_random_uuids() -> None:
    made = [random_uuid() for _ in range(1000)]
    assert len(set(made)) == 1000
    for each in made:
        parsed = uuid.UUID(each)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, each)


def test_with_a_signer_every_message_is_signed() -> None:
    message = lines(signer=Signer(RING)).message(b'{"order_id": "ORD-1"}')
    Verifier(RING).check(message.key, message.headers, message.value)
