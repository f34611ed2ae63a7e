from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.deadletters.letter import Letter, LetterId, Position, State, letter_of
from streams.errors import Category
from tests.unit.deadletters.letters import NOW_MS, letter_record

names = st.from_regex(r"[a-zA-Z0-9._-]{1,40}", fullmatch=True)
numbers = st.integers(0, 10**6 - 1)


def test_a_letter_says_what_its_headers_say() -> None:
    letter = letter_of(letter_record(Category.BUSINESS_RULE, offset=7, at=9))
    assert (str(letter.id), letter.letter) == ("router:orders.inbound:3:7", "headrace.router.dlq/1@9")
    assert (letter.category, letter.exception, letter.route) == ("BUSINESS_RULE", "BusinessRuleViolation", "all")
    assert (letter.message, letter.attempts, letter.key) == ("not while it is shipped", 4, "k")
    assert letter.first_failed_at == letter.last_failed_at == "2026-09-21T14:13:20.000Z"
    assert letter.is_open
    assert not letter.omitted


def test_what_somebody_else_wrote_there_is_a_letter_too() -> None:
    strange = replace(letter_record(at=4), carried=[("headrace-category", b"\xff"), ("headrace-attempts", b"many")])
    letter = letter_of(strange)
    assert str(letter.id) == "router:headrace.router.dlq:1:4"
    assert (letter.category, letter.attempts, letter.exception) == ("UNKNOWN", 0, "")
    assert letter.last_failed_at.startswith("2026-09-21T14:13:19.995")


@given(
    st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=8), st.none() | st.binary()
)
def test_no_record_of_a_dlq_is_refused(headers: list[tuple[str, bytes | None]], key: bytes | None) -> None:
    letter = letter_of(replace(letter_record(), carried=headers, of_key=key, timestamp_ms=-1))
    assert LetterId.parse(str(letter.id)) == letter.id
    assert Letter.of_row(letter.row()) == letter


@given(names, names, numbers, numbers)
def test_an_id_and_a_position_read_back(stage: str, topic: str, partition: int, offset: int) -> None:
    assert LetterId.parse(str(LetterId(stage, topic, partition, offset))) == (stage, topic, partition, offset)
    assert Position.parse(str(Position(topic, partition, offset))) == (topic, partition, offset)


@given(st.lists(st.tuples(numbers, numbers), min_size=2))
def test_rows_are_in_the_order_of_partition_and_offset(places: list[tuple[int, int]]) -> None:
    ids = [LetterId("router", "in", *place) for place in places]
    assert sorted(ids, key=LetterId.row_key) == sorted(ids)


@pytest.mark.parametrize(
    "text", ["", "router", "router:in:1", "router:in:1:x", ":in:1:2", "a:b:c:1:2", "router:in:1:٣"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected <stage>"):
        LetterId.parse(text)


@pytest.mark.parametrize("text", ["", "topic", "topic/1", "topic/x@1", "/1@", "topic/1@-1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected topic/partition@offset"):
        Position.parse(text)


def test_the_beginning_of_a_long_key_is_kept() -> None:
    letter = letter_of(letter_record(key=b"x" * 5000))
    assert letter.key == "x" * 1024
    assert letter_of(letter_record(key=b"\xff")).key == "base64:_w=="
    assert letter_of(letter_record(key=None)).key is None


def test_closed_letters_are_not_open() -> None:
    letter = letter_of(letter_record(failed_at=NOW_MS / 1000))
    closed = {state for state in State if not replace(letter, state=state).is_open}
    assert closed == {State.REDRIVEN, State.DISCARDED}
