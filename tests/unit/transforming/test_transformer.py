"""From a source record to the message that a transformation makes, or to the error of its dead letter."""

from decimal import Decimal
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import (
    BusinessRuleViolation,
    Category,
    InvalidMessage,
    MessageExpired,
    RecordError,
    TransformationFailed,
    TransientError,
    UnsupportedTransformation,
)
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.framing import FRAME_SIZE, SCHEMA_HEADER
from streams.messages.registry import Registered
from streams.transforming.chains import HopTimes
from streams.transforming.converters import Converters
from tests.unit.transforming.partners import (
    IDS,
    MAPPING,
    SCHEMAS,
    SENT_MS,
    TO_ORDER,
    V1,
    V2,
    Batch,
    avro,
    contracts,
    guid_of_id,
    headers,
    message,
    registered,
    transformer,
)

FROM_LINES = "transformations: [{source: lines, from: csv_line, to: order, destination: orders}]"
FROM_JSON = """
transformations: [{source: json, to: order, destination: orders}]
mappings: [{from: json_line, to: order, fields: {order_id: {from: id}, total: {from: price}, pieces: {constant: 1}}}]
"""
V2_MESSAGE = {**V2, "total": Decimal("7.00")}


def handle(compiled: Any, record: Any, times: HopTimes | None = None) -> tuple[Any, ...]:
    """The one output of one record."""
    batch = Batch()
    compiled.bind(batch, times or HopTimes())(record)
    assert len(batch.out) == 1
    return tuple(batch.out[0])


def decoded(value: bytes) -> tuple[str, dict[str, Any]]:
    return Codec(contracts(), registered()).decode(value)


def failing(error: Exception | Any) -> Converters:
    """A converter from v2 that raises `error`, or makes it."""
    converters = Converters()

    @converters.register("v2", "order")
    def fails(_payload: dict[str, Any]) -> Any:
        if isinstance(error, Exception):
            raise error
        return error

    return converters


def refusal(compiled: Any, record: Any) -> RecordError:
    batch = Batch()
    with pytest.raises(RecordError) as caught:
        compiled.bind(batch, HopTimes())(record)
    assert batch.out == []
    return caught.value


def test_a_message_goes_over_two_hops_and_is_keyed_as_its_contract_says() -> None:
    record = message(avro("v1", V1), headers("v1"))
    topic, value, key, partition, timestamp_ms, _ = handle(transformer("in", MAPPING + TO_ORDER), record)
    assert (topic, key, partition, timestamp_ms) == ("orders", b"ORD-1", -1, SENT_MS)
    expected = {"order_id": "ORD-1", "total": Decimal("19.99"), "pieces": 5, "note": None}
    assert decoded(value) == ("order", expected)


def test_the_new_message_says_what_it_is_and_what_caused_it() -> None:
    raw = headers("v2", ce_subject=b"P-7", priority=b"high", traceparent=b"00-1", saga=b"s/1/x", tenant=b"\xff")
    made = dict(handle(transformer("in", MAPPING + TO_ORDER), message(avro("v2", V2_MESSAGE), raw))[5])
    identity = made.pop(names.ID)
    assert made == {
        names.SPECVERSION: b"1.0",
        names.TYPE: b"order",
        names.SOURCE: b"headrace/transformer",
        names.TIME: b"2027-01-15T07:59:59Z",
        names.SUBJECT: b"ORD-2",
        names.CORRELATION_ID: b"m-1",
        names.CAUSATION_ID: b"m-1",
        names.DATA_SCHEMA: b"shop.order/1",
        names.CONTENT_TYPE: b"application/avro",
        "priority": b"high",
        "traceparent": b"00-1",
        "saga": b"s/1/x",
        "tenant": b"\xff",
    }
    assert identity == names.message_id("m-1", "transformer:shop.order:orders").encode()


def test_a_conversation_goes_on_and_what_belonged_to_the_source_alone_does_not() -> None:
    raw = headers(
        "v2", ce_correlationid=b"c-1", ce_causationid=b"x", **{"x-message-signature": b"keyid=1", "ttl": b"60"}
    )
    made = dict(handle(transformer("in", MAPPING + TO_ORDER), message(avro("v2", V2_MESSAGE), raw))[5])
    assert (made[names.CORRELATION_ID], made[names.CAUSATION_ID], made[names.TTL]) == (b"c-1", b"m-1", b"60")
    assert names.SIGNATURE not in made


@given(st.text(), st.text(), st.integers(0, 9))
def test_ids_are_uuids_of_version_5(source: str, rule: str, index: int) -> None:
    expected = uuid5(names._MESSAGE_IDS, f"{source}\x1f{rule}\x1f{index}") if _encodes(source + rule) else None
    if expected is not None:
        assert names.message_id(source, rule, index) == str(expected)


def _encodes(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def test_a_message_of_the_target_goes_on_as_it_is() -> None:
    text = "transformations: [{source: both, from: refund, to: refund, destination: refunds}]"
    value = avro("refund", {"order_id": "ORD-9"})
    topic, made, key, partition, *_ = handle(transformer("both", text), message(value, headers("refund"), topic="both"))
    assert (topic, made, key, partition) == ("refunds", value, b"P-7", -1)


def test_without_a_key_a_message_keeps_its_partition() -> None:
    text = "transformations: [{source: both, from: refund, to: refund, destination: refunds}]"
    record = message(avro("refund", {"order_id": "x"}), headers("refund"), topic="both", key=None)
    assert handle(transformer("both", text), record)[2:4] == (None, 6 % 4)


def test_a_csv_line_needs_no_headers() -> None:
    record = message(b'"ORD-3",7.50,2,\r\n', topic="lines", key=None)
    _, value, key, _, _, made = handle(transformer("lines", FROM_LINES), record)
    assert decoded(value)[1] == {"order_id": "ORD-3", "total": Decimal("7.50"), "pieces": 2, "note": None}
    found = dict(made)
    assert (key, found[names.CAUSATION_ID], found[names.TIME]) == (b"ORD-3", b"lines-1-42", b"2027-01-15T07:43:20Z")


def test_json_is_read_as_its_contract_says() -> None:
    record = message(b'{"id": "ORD-4", "price": "7.50"}', topic="json")
    assert decoded(handle(transformer("json", FROM_JSON), record)[1])[1]["total"] == Decimal("7.50")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"ORD-3,7.50,2", "expected 4 cells of csv_line, got 3"),
        (b"ORD-3,7.50,two,", "pieces: expected int"),
        (b"ORD-3,7.505,2,", "price: expected decimal(12,2)"),
        (b"ORD-3,,2,", "price: expected decimal(12,2)"),
        (b"a,1,1,\nb,1,1,", "expected one CSV line, got 2"),
        (b'"a,1,1,', "not CSV"),
        (b"\xff,1,1,", "in UTF-8, got byte 0xff"),
        (b"", "got an empty value"),
        (None, "got an empty value"),
    ],
)
def test_a_line_that_cannot_be_read_is_an_invalid_message(value: bytes | None, said: str) -> None:
    error = refusal(transformer("lines", FROM_LINES), message(value, topic="lines"))
    assert (type(error), error.category) == (InvalidMessage, Category.INVALID_FORMAT)
    assert said in str(error)


def test_what_is_no_json_is_an_invalid_message() -> None:
    assert "not JSON" in str(refusal(transformer("json", FROM_JSON), message(b"{", topic="json")))


def test_a_format_of_the_domains_own_is_read_by_its_function() -> None:
    converters = Converters()

    @converters.reads("json_line")
    def read(value: bytes) -> dict[str, Any]:
        name, price = value.decode().split("|")
        return {"id": name, "price": Decimal(price)}

    compiled = transformer("json", FROM_JSON, converters)
    assert decoded(handle(compiled, message(b"ORD-5|1.20", topic="json"))[1])[1]["order_id"] == "ORD-5"
    assert "cannot read json_line from 4 bytes" in str(refusal(compiled, message(b"ORD5", topic="json")))
    assert "json_line: price" in str(refusal(compiled, message(b"O|1.234", topic="json")))


@pytest.mark.parametrize(
    ("value", "raw", "said"),
    [
        (b"nothing framed", headers("v2"), "expected magic byte"),
        (
            avro("order", {"order_id": "x", "total": Decimal(1), "pieces": 1}),
            headers("order"),
            "expected v1 or v2 on in",
        ),
        (avro("v2", V2_MESSAGE), headers("v1"), "ce_type: expected v2"),
        (avro("v2", V2_MESSAGE), None, "expected ce_ headers, got none"),
        (avro("v2", V2_MESSAGE)[:-3], headers("v2"), "cannot decode"),
        (avro("v2", V2_MESSAGE, schema_id=99), headers("v2"), "which is not registered"),
    ],
)
def test_what_a_router_would_refuse_is_refused(value: bytes, raw: Any, said: str) -> None:
    error = refusal(transformer("in", MAPPING + TO_ORDER), message(value, raw))
    assert isinstance(error, InvalidMessage)
    assert said in str(error)


def test_a_schema_that_a_header_names_is_read_and_not_carried_on() -> None:
    raw = headers("v1", **{SCHEMA_HEADER: b"\x01" + guid_of_id(IDS["v1"])})
    out = handle(transformer("in", MAPPING + TO_ORDER), message(avro("v1", V1)[FRAME_SIZE:], raw))
    assert decoded(out[1])[1]["order_id"] == "ORD-1"
    assert SCHEMA_HEADER not in dict(out[5])


def test_a_message_past_its_ttl_is_not_converted() -> None:
    raw = headers("v2", ttl=b"0.5")
    assert isinstance(
        refusal(transformer("in", MAPPING + TO_ORDER), message(avro("v2", V2_MESSAGE), raw)), MessageExpired
    )


def test_a_cast_that_the_message_does_not_allow_names_hop_and_field() -> None:
    items = [{"code": "A", "qty": "2"}, {"code": "B", "qty": "many"}]
    record = message(avro("v1", {**V1, "items": items}), headers("v1"))
    error = refusal(transformer("in", MAPPING + TO_ORDER), record)
    assert isinstance(error, TransformationFailed)
    assert (error.hop, error.field, error.category) == ("v1 -> v2", "lines[1].quantity", Category.INVALID_FORMAT)
    assert str(error) == 'v1 -> v2: lines[1].quantity: expected int as text, got "many"'


@pytest.mark.parametrize(
    ("made", "field", "said"),
    [
        (ZeroDivisionError("by nothing"), "", "raised ZeroDivisionError: by nothing"),
        (None, "payload", "expected record order, got null"),
        ({"order_id": "x", "total": "7.00", "pieces": 1}, "total", "expected decimal(12,2)"),
        ({"order_id": "x", "total": Decimal("7.005"), "pieces": 1}, "total", "expected decimal(12,2)"),
        ({"order_id": "x", "total": Decimal(7), "pieces": True}, "pieces", "expected int"),
        ({"order_id": "x", "total": Decimal(7), "pieces": 2**31}, "pieces", "expected int"),
        ({"order_id": "x", "total": Decimal(7)}, "pieces", "missing"),
        ({"order_id": "x", "total": Decimal(7), "pieces": 1, "more": 1}, "more", "unknown field"),
        ({"order_id": "\ud800", "total": Decimal(7), "pieces": 1}, "order_id", "lone surrogates"),
    ],
)
def test_a_converter_that_raises_or_makes_something_else_is_a_bug(made: Any, field: str, said: str) -> None:
    error = refusal(
        transformer("in", MAPPING + TO_ORDER, failing(made)), message(avro("v2", V2_MESSAGE), headers("v2"))
    )
    assert isinstance(error, TransformationFailed)
    assert (error.hop, error.field, error.category) == ("v2 -> order", field, Category.UNKNOWN)
    assert said in str(error)


@pytest.mark.parametrize("raised", [TransientError("away"), BusinessRuleViolation("no"), InvalidMessage("broken")])
def test_what_a_converter_raises_on_purpose_stands(raised: RecordError) -> None:
    compiled = transformer("in", MAPPING + TO_ORDER, failing(raised))
    assert refusal(compiled, message(avro("v2", V2_MESSAGE), headers("v2"))) is raised


def test_a_plain_function_that_answers_with_an_awaitable_is_a_bug() -> None:
    async def later() -> dict[str, Any]:
        return {}

    converters = Converters()
    converters.register("v2", "order")(lambda _payload: later())
    error = refusal(transformer("in", MAPPING + TO_ORDER, converters), message(avro("v2", V2_MESSAGE), headers("v2")))
    assert "expected record order" in str(error)


def test_a_type_that_no_transformation_takes_is_unsupported() -> None:
    text = "transformations: [{source: both, from: v2, to: order, destination: orders}]"
    record = message(avro("refund", {"order_id": "x"}), headers("refund"), topic="both")
    error = refusal(transformer("both", text), record)
    assert (type(error), error.category) == (UnsupportedTransformation, Category.INVALID_FORMAT)
    assert "no transformation of both takes refund" in str(error)


def test_a_message_goes_through_every_transformation_that_takes_it_or_through_none() -> None:
    text = """
transformations:
  - {source: both, from: v2, to: order, destination: orders}
  - {source: both, from: v2, to: refund, destination: refunds}
mappings: [{from: v2, to: refund, fields: {order_id: {from: 'lines[0].sku', default: none}}}]
"""
    batch = Batch()
    record = message(avro("v2", V2_MESSAGE), headers("v2"), topic="both")
    transformer("both", text).bind(batch, HopTimes())(record)
    assert [out[0] for out in batch.out] == ["orders", "refunds"]
    assert len({dict(out[5])[names.ID] for out in batch.out}) == 2


def test_a_version_that_is_registered_later_is_learnt() -> None:
    old = next(schema for schema in SCHEMAS if schema["name"] == "v2")
    newer = contract_from({**old, "fields": [*old["fields"], {"name": "extra", "type": "int"}]})
    late = {77: Registered("shop.v2", 2, 77, newer.schema)}
    value = Codec(Contracts([newer]), [late[77]]).encode("v2", {**V2_MESSAGE, "extra": 1})
    compiled = transformer("in", MAPPING + TO_ORDER, late=late)
    assert handle(compiled, message(value, headers("v2")))[2] == b"ORD-2"


def test_each_hop_is_counted_and_timed() -> None:
    times = HopTimes()
    compiled = transformer("in", MAPPING + TO_ORDER)
    handle(compiled, message(avro("v1", V1), headers("v1")), times)
    handle(compiled, message(avro("v2", V2_MESSAGE), headers("v2")), times)
    bad = message(avro("v1", {**V1, "amount": "x"}), headers("v1"))
    with pytest.raises(TransformationFailed):
        compiled.bind(Batch(), times)(bad)
    stood = times.stood(set())
    assert {hop: len(seconds) for hop, seconds in stood.items()} == {"v1 -> v2": 1, "v2 -> order": 2}
    assert times.failures == {"v1 -> v2": 1}
    assert all(each >= 0 for seconds in stood.values() for each in seconds)


def test_the_same_source_makes_the_same_message_again() -> None:
    record = message(avro("v1", V1), headers("v1"))
    compiled = transformer("in", MAPPING + TO_ORDER)
    assert handle(compiled, record) == handle(compiled, record)
