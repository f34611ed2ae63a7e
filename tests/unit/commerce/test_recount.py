"""The recount: it finds nothing off behind a perfect router, and each kind of mistake behind a faulty one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.commerce.demo.messages import DEAD_LETTERS, EXPRESS, SOURCE, STANDARD, DemoMessage, Outcome
from streams.commerce.demo.recount import (
    ALTERED,
    CATEGORY_HEADER,
    DOUBLED,
    EXCEPTION_HEADER,
    MISROUTED,
    MISSING,
    OUT_OF_ORDER,
    STRANGE,
    TOPIC_HEADER,
    WRONG_REASON,
    Found,
    Recount,
    Sent,
    Tally,
)
from streams.commerce.demo.wire import index_header
from streams.errors import Category

TO_STANDARD = Outcome(frozenset({STANDARD}))
TO_BOTH = Outcome(frozenset({EXPRESS, "order-events"}))
BROKEN = Outcome(frozenset({DEAD_LETTERS}), Category.INVALID_FORMAT, "empty_value")

Records = list[Found]


def sent(outcomes: list[tuple[Outcome, str]]) -> list[Sent]:
    return [
        Sent(
            DemoMessage(index, key.encode(), b"v%d" % index, (("ce_id", b"1"), index_header(index)), outcome),
            1_000 + index,
        )
        for index, (outcome, key) in enumerate(outcomes)
    ]


def routed(messages: list[Sent]) -> Iterator[Found]:
    """What a perfect router makes of them."""
    for each in messages:
        message = each.message
        for topic in sorted(message.outcome.topics | {SOURCE}):
            headers = message.headers
            if topic == DEAD_LETTERS:
                headers += (
                    (CATEGORY_HEADER, str(message.outcome.category).encode()),
                    (EXCEPTION_HEADER, b"InvalidMessage"),
                    (TOPIC_HEADER, SOURCE.encode()),
                )
            yield Found(topic, hash(message.key) % 4, message.key, message.value, each.timestamp_ms, headers)


def tally(messages: list[Sent], found: Records) -> Tally:
    recount = Recount(messages)
    for record in found:
        recount.add(record)
    return recount.tally()


runs = st.lists(
    st.tuples(st.sampled_from([TO_STANDARD, TO_BOTH, BROKEN]), st.sampled_from("abc")),
    min_size=1,
    max_size=40,
)


@given(runs)
def test_nothing_is_off_behind_a_perfect_router(run: list[tuple[Outcome, str]]) -> None:
    messages = sent(run)
    result = tally(messages, list(routed(messages)))
    assert result.off.total() == 0
    assert result.sent == len(run)
    assert result.destinations.total() == sum(len(outcome.topics) for outcome, _ in run)
    assert result.dead_letters.total() == sum(outcome is BROKEN for outcome, _ in run)


@given(runs, st.data())
def test_a_lost_record_is_missing(run: list[tuple[Outcome, str]], data: st.DataObject) -> None:
    messages = sent(run)
    found = list(routed(messages))
    found.pop(data.draw(st.integers(0, len(found) - 1)))
    assert tally(messages, found).off == {MISSING: 1}


@given(runs, st.data())
def test_a_record_delivered_again_at_once_is_doubled(run: list[tuple[Outcome, str]], data: st.DataObject) -> None:
    messages = sent(run)
    found = list(routed(messages))
    at = data.draw(st.integers(0, len(found) - 1))
    found.insert(at, found[at])
    assert tally(messages, found).off == {DOUBLED: 1}


@given(runs)
def test_a_record_behind_a_later_one_of_its_key_is_out_of_order(run: list[tuple[Outcome, str]]) -> None:
    messages = sent([(TO_STANDARD, "a"), *run, (TO_STANDARD, "a")])
    found = list(routed(messages))
    late = next(record for record in found if record.topic == STANDARD)
    found.remove(late)
    found.append(late)
    assert tally(messages, found).off == {OUT_OF_ORDER: 1}


def moved(record: Found) -> Found:
    return replace(record, topic="order-events")


def with_other_value(record: Found) -> Found:
    return replace(record, value=b"other")


def with_other_key(record: Found) -> Found:
    return replace(record, key=b"other")


def with_other_time(record: Found) -> Found:
    return replace(record, timestamp_ms=7)


def with_headers_swapped(record: Found) -> Found:
    return replace(record, headers=record.headers[::-1])


def with_a_header_more(record: Found) -> Found:
    return replace(record, headers=(*record.headers, ("headrace-stage", b"router")))


def without_index(record: Found) -> Found:
    return replace(record, headers=record.headers[:1])


@pytest.mark.parametrize(
    ("mistake", "kinds"),
    [
        (moved, {MISSING, MISROUTED}),
        (with_other_value, {ALTERED}),
        (with_other_key, {ALTERED}),
        (with_other_time, {ALTERED}),
        (with_headers_swapped, {ALTERED}),
        (with_a_header_more, {ALTERED}),
        (without_index, {STRANGE, MISSING}),
    ],
)
def test_each_mistake_with_a_routed_record_is_found(mistake: Callable[[Found], Found], kinds: set[str]) -> None:
    messages = sent([(TO_STANDARD, "a")])
    found = [mistake(record) if record.topic == STANDARD else record for record in routed(messages)]
    result = tally(messages, found)
    assert set(result.off) == kinds
    assert result.examples


@pytest.mark.parametrize(
    ("header", "value"),
    [(CATEGORY_HEADER, b"EXPIRED"), (TOPIC_HEADER, b"elsewhere"), (CATEGORY_HEADER, None)],
)
def test_a_dead_letter_for_another_reason_is_found(header: str, value: bytes | None) -> None:
    messages = sent([(BROKEN, "a")])
    found = []
    for record in routed(messages):
        headers = [(name, value if name == header else old) for name, old in record.headers]
        kept = tuple((name, content) for name, content in headers if content is not None)
        found.append(replace(record, headers=kept) if record.topic == DEAD_LETTERS else record)
    assert tally(messages, found).off == {WRONG_REASON: 1}


def test_a_sound_message_among_the_dead_letters_is_missing_and_misrouted() -> None:
    messages = sent([(TO_STANDARD, "a")])
    found = [replace(record, topic=DEAD_LETTERS) if record.topic == STANDARD else record for record in routed(messages)]
    assert set(tally(messages, found).off) == {MISSING, MISROUTED, WRONG_REASON}


def test_dead_letters_are_told_apart_by_category_exception_and_way() -> None:
    messages = sent([(BROKEN, "a"), (BROKEN, "b")])
    result = tally(messages, list(routed(messages)))
    assert result.dead_letters == {("INVALID_FORMAT", "InvalidMessage", "empty_value"): 2}
