"""Each pattern from records to outputs, on the engine's batches and tables, without a broker."""

from typing import Any

import pytest
from confluent_kafka import Message

from streams.messages import headers as names
from streams.messages.headers import message_id
from streams.patterns import groups
from tests.unit.patterns.shop import LINES, ORDER, SPLIT, WHOLE, Stage, decoded, message
from tests.unit.transforming.partners import SENT_MS

TAP = "{name: p, kind: wire_tap, source: orders, destination: more.orders}"
ONCE = "{name: p, kind: idempotent_receiver, source: orders, window: 10s, destination: more.orders}"
PICK = (
    "{name: p, kind: aggregator, source: picked, correlate: payload.order_id, complete: %s, to: pick_list, "
    "destination: lists}"
)
KEYED = "contracts: {pick_list: {key: payload.order_id}}\n"


def line(number: int, order: str = "ORD-1", at_ms: int = SENT_MS, **more: Any) -> Message:
    payload = {"order_id": order, "line_number": number, "line_count": 2, "buyer": "Ada", **LINES[number - 1]}
    return message("order_line", payload, f"{order}-{number}", topic="lines", at_ms=at_ms, **more)


def picked(sku: str, order: str = "ORD-1", *, last: bool = False, at_ms: int = SENT_MS) -> Message:
    payload = {"order_id": order, "sku": sku, "last": last}
    return message("picked", payload, f"{order}-{sku}", topic="picked", at_ms=at_ms, key=order.encode())


def skus(made: list[tuple[Any, ...]]) -> list[list[str]]:
    return [decoded(output[1])["skus"] for output in made]


def test_a_tap_copies_every_message_untouched_and_the_broken_too() -> None:
    stage = Stage(TAP)
    whole, bare = message("order", ORDER), message("order", ORDER, ce_id=None, ce_type=None, key=None)
    made = stage.handle([whole, bare])
    assert [output[0] for output in made] == ["more.orders", "more.orders"]
    assert [(output[1], output[2], output[4], output[5]) for output in made] == [
        (each.value(), each.key(), SENT_MS, each.headers()) for each in (whole, bare)
    ]
    assert [output[3] for output in made] == [-1, 1], "without a key it stays in its partition"


def test_a_splitter_makes_a_message_of_each_item() -> None:
    first, second = Stage(SPLIT).handle([message("order", ORDER)])
    assert (first[0], first[2], first[4]) == ("lines", b"ORD-1", SENT_MS)
    assert [decoded(each[1])["sku"] for each in (first, second)] == ["A", "B"]
    rule = "patterns.p:shop.order_line:lines"
    for index, made in enumerate((first, second)):
        headers = dict(made[5])
        assert headers[names.ID].decode() == message_id("m-1", rule, index)
        assert (headers[names.TYPE], headers[names.SOURCE]) == (b"order_line", b"headrace/patterns.p")
        assert (headers[names.CAUSATION_ID], headers[names.SUBJECT], headers["priority"]) == (b"m-1", b"ORD-1", b"high")


def test_what_a_splitter_cannot_read_is_a_letter() -> None:
    stage = Stage(SPLIT)
    assert stage.handle([line(1)]) == []
    assert stage.letters == ["expected order on orders, got order_line (schema id 32)"]


def test_a_message_that_comes_again_within_the_window_is_dropped() -> None:
    stage = Stage(ONCE)
    assert len(stage.handle([message("order", ORDER), message("order", ORDER)])) == 1
    assert stage.handle([message("order", ORDER, at_ms=SENT_MS + 10_000)]) == [], "also in a later cycle"
    assert len(stage.handle([message("order", ORDER, "m-2")])) == 1
    assert len(stage.handle([message("order", ORDER, ce_source=b"another shop")])) == 1
    assert len(stage.handle([message("order", ORDER, at_ms=SENT_MS + 20_001)])) == 1, "its time was over"


def test_ids_are_forgotten_when_their_time_is_over() -> None:
    stage = Stage(ONCE)
    stage.handle([message("order", ORDER, f"m-{n}", at_ms=SENT_MS + n) for n in range(100)])
    assert stage.rows("ids") == 201
    stage.handle([message("order", ORDER, "last", at_ms=SENT_MS + 60_000)])
    assert stage.rows("ids") == 3


def test_messages_without_ce_headers_are_all_different_and_without_an_id_refused() -> None:
    stage = Stage(ONCE)
    bare = dict.fromkeys(("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"))
    records = [message("order", ORDER, offset=offset, **bare) for offset in (0, 1)]  # type: ignore[arg-type]  # all of one type
    assert len(stage.handle(records)) == 2
    assert stage.handle([message("order", ORDER, ce_id=None)]) == []
    assert stage.letters[0].startswith("header ce_id is missing")


def test_a_group_is_whole_with_its_last_message_and_nothing_of_it_is_left() -> None:
    stage = Stage(WHOLE)
    assert stage.handle([line(2), line(2)]) == [], "the same message twice is one"
    (made,) = stage.handle([line(1)])
    assert (made[0], made[2]) == ("orders", b"ORD-1")
    assert decoded(made[1]) == {**ORDER, "tags": []}
    headers = dict(made[5])
    assert headers[names.ID].decode() == message_id("ORD-1-2", "patterns.p:shop.order:orders")
    assert (headers[names.CAUSATION_ID], headers["priority"]) == (b"ORD-1-2", b"high")
    assert stage.rows("groups") == 0
    assert stage.letters == []


def test_groups_are_apart() -> None:
    stage = Stage(WHOLE)
    made = stage.handle([line(1, "A"), line(1, "B"), line(2, "B"), line(2, "A")])
    assert [decoded(each[1])["order_id"] for each in made] == ["B", "A"]


def test_a_number_or_a_condition_says_that_a_group_is_whole() -> None:
    assert skus(Stage(PICK % "{count: 2}").handle([picked("A"), picked("B"), picked("C")])) == [["A", "B"]]
    ends = "{condition: {field: payload.last, operator: equals, value: true}}"
    stage = Stage(PICK % ends)
    assert skus(stage.handle([picked("A"), picked("B", "ORD-2"), picked("C", last=True)])) == [["A", "C"]]


def test_a_group_whose_time_is_over_is_made_of_what_is_there() -> None:
    stage = Stage(PICK % "{count: 3, timeout: 10s}")
    assert stage.handle([picked("A"), picked("B"), picked("X", "ORD-2", at_ms=SENT_MS + 10_000)]) == []
    (made,) = stage.handle([picked("Y", "ORD-2", at_ms=SENT_MS + 10_001)])
    assert decoded(made[1]) == {"order_id": "ORD-1", "skus": ["A", "B"]}
    assert made[2] == b"ORD-1", "the key is the group's"
    whole = stage.handle([picked("Z", "ORD-2", at_ms=SENT_MS + 10_002)])
    assert skus(whole) == [["X", "Y", "Z"]]
    assert stage.handle([picked("A", "ORD-3", at_ms=SENT_MS + 60_000)]) == [], "one that was whole is not made again"


def test_a_message_that_belongs_to_no_group_is_a_letter() -> None:
    stage = Stage(PICK % "{count: 2}")
    assert stage.handle([picked("A", "")]) == []
    assert stage.letters == ["payload.order_id: expected what the messages of a group have in common, got nothing"]


def test_what_could_not_be_made_whole_begins_no_group() -> None:
    stage = Stage((PICK % "{count: 2, timeout: 10s}").replace("payload.order_id", "headers.priority"), KEYED)
    assert stage.handle([picked("A", ""), picked("B", "ORD-2")]) == []
    assert stage.letters == ["payload.order_id: expected the message's key, got nothing"]
    assert skus(stage.handle([picked("C", "ORD-2")])) == [["B", "C"]]


def test_a_group_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_MESSAGES", 2)
    stage = Stage(PICK % "{count: 5}")
    assert stage.handle([picked("A"), picked("B"), picked("C")]) == []
    assert stage.letters[0].startswith("expected a group of at most 2 messages and 900000 bytes")
