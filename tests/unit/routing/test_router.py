from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.partitioner import partition_of
from streams.errors import InvalidMessage, MessageExpired, NoRouteMatches, RecordError
from streams.messages.framing import frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.routing.router import CompiledRouter, Matched, compile_router
from tests.unit.routing.shop import (
    NOW,
    ORDER_1_ID,
    ORDER_ID,
    SENT_MS,
    UNKNOWN_ID,
    Batch,
    avro,
    contracts,
    headers,
    message,
    order,
    refund,
    registered,
    router,
    topology,
)

COSTLY = (
    "{name: costly, conditions: [{field: payload.total_amount, operator: greater_than, value: 1000}],"
    " destinations: [{queue: express}, {topic: watched, subscription: a}, {topic: watched, subscription: b}]}"
)
URGENT = (
    "{name: urgent, conditions: [{field: headers.priority, operator: equals, value: high}],"
    " destinations: [{queue: express}]}"
)
REST = "{name: rest, destinations: [{queue: standard}]}"
COSTLY_ORDER = order(total_amount=Decimal(2000))


def route(compiled: CompiledRouter, record: Record, batch: Batch | None = None) -> list[Any]:
    batch = batch or Batch()
    matched: Matched = defaultdict(list)
    compiled.bind(batch, matched)(record)
    return batch.out


def topics(compiled: CompiledRouter, record: Record) -> list[str]:
    return [put_out[0] for put_out in route(compiled, record)]


def refusal(compiled: CompiledRouter, record: Record) -> str:
    batch = Batch()
    with pytest.raises(InvalidMessage) as refused:
        route(compiled, record, batch)
    assert batch.out == []
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_message_passes_as_it_came() -> None:
    raw = [*headers(priority=b"high"), ("trace", b"\xff\x00"), ("nothing", None), ("trace", b"again")]
    record = message(order(), raw)
    [put_out] = route(router(URGENT), record)
    assert put_out == ("express", order(), b"ORD-1", -1, SENT_MS, raw)


def test_the_first_route_that_matches_takes_the_message() -> None:
    compiled = router(f"{COSTLY}, {URGENT}, {REST}")
    assert topics(compiled, message(COSTLY_ORDER, headers(priority=b"high"))) == ["express", "watched"]
    assert topics(compiled, message(order(), headers(priority=b"high"))) == ["express"]
    assert topics(compiled, message()) == ["standard"]


def test_a_message_enters_each_topic_once_however_many_routes_match() -> None:
    compiled = router(f"{COSTLY}, {URGENT}, {REST}", options="mode: all")
    record = message(COSTLY_ORDER, headers(priority=b"high"))
    assert topics(compiled, record) == ["express", "watched", "standard"]
    batch, matched = Batch(), defaultdict[Any, list[Record]](list)
    compiled.bind(batch, matched)(record)
    assert [outcome.routes for outcome in matched] == [("costly", "urgent", "rest")]
    assert batch.route == "costly"


def test_what_no_route_matches_follows_the_unmatched_policy() -> None:
    with pytest.raises(NoRouteMatches):
        route(router(URGENT), message())
    assert topics(router(URGENT, options="unmatched: drop"), message()) == []
    batch = Batch()
    batch.route = "before"
    assert [out[0] for out in route(router(URGENT, options="unmatched: watched"), message(), batch)] == ["watched"]
    assert batch.route is None


def test_a_message_without_key_stays_in_its_partition() -> None:
    placed = [(out[0], out[3]) for out in route(router(COSTLY), message(COSTLY_ORDER, key=None), Batch(partition=3))]
    assert placed == [("express", 1), ("watched", 3)]


def test_events_of_one_aggregate_stay_together_though_their_keys_differ() -> None:
    compiled = router(REST, source="orders.events")
    for key in (b"ORD-9/00000000000000000001", b"ORD-9/00000000000000000002", None):
        [put_out] = route(compiled, message(order(), headers(ce_subject=b"ORD-9"), key=key))
        assert put_out[2:4] == (key, partition_of(b"ORD-9", 4))
    assert route(compiled, message(order(), key=b"x"))[0][3] == -1


def test_a_record_without_timestamp_gets_one_from_the_producer() -> None:
    assert route(router(REST), message(timestamp=(0, -1)))[0][4] == 0


@pytest.mark.parametrize("changed", ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"])
def test_each_required_header_must_be_there_and_say_something(changed: str) -> None:
    compiled = router(REST)
    assert changed in refusal(compiled, message(order(), headers(**{changed: None})))
    others = headers(**{changed: None})
    for nothing in (b"", None):
        assert changed in refusal(compiled, message(order(), [*others, (changed, nothing)]))


def test_a_header_that_is_not_utf_8_is_refused_wherever_it_stands() -> None:
    compiled = router(REST)
    for name in ("ce_id", "ce_source", "ce_subject", "priority", "content-type", "x-message-signature", "tracestate"):
        name_in_python = {"ce_id": "ce_id", "ce_source": "ce_source"}.get(name)
        raw = headers(**{name_in_python: b"\xff"}) if name_in_python else [*headers(), (name, b"m\xfcnchen")]
        assert name in refusal(compiled, message(order(), raw))
    assert "ce_id" in refusal(compiled, message(order(), [("ce_id", b"\xff"), *headers()]))


def test_text_beyond_ascii_is_sound() -> None:
    assert topics(router(REST), message(order(), headers(ce_source="münchen".encode()))) == ["standard"]


@pytest.mark.parametrize(
    "time", [b"yesterday", b"2027-01-15", b"2027-01-15T07:59:59", b"2027-02-30T07:59:59Z", b"2027-01-15T07:59:59.Z"]
)
def test_a_time_that_is_not_rfc_3339_is_refused(time: bytes) -> None:
    compiled = router(REST)
    route(compiled, message())  # its second is remembered
    assert "ce_time" in refusal(compiled, message(order(), headers(ce_time=time)))


def test_a_time_in_the_future_is_accepted() -> None:
    for time in (b"2099-01-01T00:00:00.123456Z", b"2099-01-01t00:00:00.5+01:00", b"2099-01-01T00:00:00.999Z"):
        assert topics(router(REST), message(order(), headers(ce_time=time))) == ["standard"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "empty"),
        (b"{" + order()[1:], "0x00"),
        (order()[:4], "4 bytes"),
        (frame(UNKNOWN_ID, b"x"), str(UNKNOWN_ID)),
        (refund(), "expected order on shop.inbound, got refund"),
    ],
)
def test_a_value_that_is_not_framed_as_one_of_the_topics_contracts_is_refused(value: bytes, expected: str) -> None:
    assert expected in refusal(router(REST), message(value))


def test_a_type_that_the_value_contradicts_is_refused() -> None:
    compiled = router(REST, source="shop.mixed")
    assert "expected refund" in refusal(compiled, message(refund(), headers(ce_type=b"order")))
    assert topics(compiled, message(refund(), headers(ce_type=b"refund"))) == ["standard"]


def test_damage_behind_what_the_conditions_read_passes_through() -> None:
    damaged = COSTLY_ORDER[:-3]
    assert route(router(COSTLY), message(damaged))[0][1] == damaged
    assert "total_amount" in refusal(router(COSTLY), message(COSTLY_ORDER[:8]))


def test_every_registered_version_of_a_contract_is_read_with_its_own_schema() -> None:
    old = avro(
        registered()[0].schema,
        {"order_id": "a" * 40, "total_amount": Decimal(2000), "gift": False, "lines": []},
        ORDER_1_ID,
    )
    assert topics(router(f"{COSTLY}, {REST}"), message(old)) == ["express", "watched"]


def test_a_version_that_is_registered_later_is_asked_for_once() -> None:
    first, *others = registered()
    asked: list[int | bytes] = []

    def late(name: int | bytes) -> Registered | None:
        asked.append(name)
        return first if name == first.id else None

    found = topology(f"routers: [{{source: shop.inbound, routes: [{REST}]}}]").routers[0]
    compiled = compile_router(found, ("order",), contracts(), others, lambda: NOW, late)
    payload = {"order_id": "a", "total_amount": Decimal(5), "gift": False, "lines": []}
    old = message(avro(first.schema, payload, first.id))
    assert [topics(compiled, old), topics(compiled, old)] == [["standard"], ["standard"]]
    assert str(UNKNOWN_ID) in refusal(compiled, message(frame(UNKNOWN_ID, b"x")))
    assert asked == [first.id, UNKNOWN_ID]


def test_a_message_lives_as_long_as_its_ttl() -> None:
    compiled = router(REST)
    sent = datetime.fromtimestamp(NOW - 60, UTC).isoformat().encode()
    assert topics(compiled, message(order(), headers(ce_time=sent, ttl=b"60"))) == ["standard"]
    with pytest.raises(MessageExpired):
        route(compiled, message(order(), headers(ce_time=sent, ttl=b"59.5")))
    assert "ttl" in refusal(compiled, message(order(), headers(ttl=b"soon")))


def test_a_message_without_ce_headers_is_accepted_where_its_topic_has_one_contract() -> None:
    by_id = (
        "{name: by_id, conditions: [{field: message_id, operator: equals, value: shop.inbound-1-42},"
        "{field: timestamp, operator: equals, value: '2027-01-15T07:43:20Z'},"
        "{field: message_type, operator: equals, value: order}], destinations: [{queue: standard}]}"
    )
    plain = message(order(), [("app", b"\xff")])
    [put_out] = route(router(by_id), plain)
    assert put_out[5] == [("app", b"\xff")]
    assert "more than one contract" in refusal(router(REST, source="shop.mixed"), plain)
    assert "ce_id" in refusal(router(REST), message(order(), [("ce_custom", b"x")]))


def test_routes_found_by_a_headers_value_are_those_found_one_after_the_other() -> None:
    def many(indexed_from: int) -> str:
        return ",".join(
            f"{{name: r{n}, conditions: [{{field: message_type, operator: equals, value: order}},"
            f"{{field: headers.region, operator: {'equals' if n >= indexed_from else 'in'}, "
            f"value: {f'g{n % 120}' if n >= indexed_from else f'[g{n % 120}]'}}},"
            f"{{field: headers.weight, operator: greater_than, value: {n % 7}}}],"
            f"destinations: [{{topic: {('express', 'standard', 'watched')[n % 3]}}}]}}"
            for n in range(300)
        )

    for options in ("mode: first", "mode: all"):
        indexed, plain = (router(many(begin), options=options + "\n    unmatched: drop") for begin in (150, 300))
        for region in (0, 7, 119, 120):
            for weight in (b"0", b"3", b"9", b"none"):
                record = message(order(), headers(region=b"g%d" % region, weight=weight))
                assert topics(indexed, record) == topics(plain, record)


bytes_of_text = st.sampled_from(
    [b"", b"x", b"1.0", b"order", b"\xff", b"2027-01-15T07:59:59Z", b"2027-13-15T07:59:59Z"]
)


@given(
    st.lists(
        st.tuples(st.sampled_from([*dict(headers()), "ttl", "priority", "other"]), st.none() | bytes_of_text),
        max_size=4,
    ),
    st.sampled_from([[], headers()]),
    st.sampled_from([order(), order()[:3], b"", frame(ORDER_ID, b""), frame(UNKNOWN_ID, b"x"), refund()]),
)
@settings(max_examples=250, deadline=None)
def test_the_fast_check_accepts_nothing_that_the_thorough_one_refuses(
    extra: list[tuple[str, bytes | None]], sound: list[tuple[str, bytes | None]], value: bytes
) -> None:
    raw = [*sound, *extra]
    record = message(value, raw)
    compiled = router(REST)
    try:
        compiled._admission.examine(record, NOW)
        thorough: type[BaseException] | None = None
    except RecordError as error:
        thorough = type(error)
    batch = Batch()
    try:
        route(compiled, record, batch)
        fast: type[BaseException] | None = None
    except RecordError as error:
        fast = type(error)
    assert fast is thorough
    assert len(batch.out) == (thorough is None)
