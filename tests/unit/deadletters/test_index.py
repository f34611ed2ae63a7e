"""What a letter and a request change: each failure is carried out once, however often it is asked for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.deadletters.index import TELL, carry_out, due_request, is_asked_of, take_up, told, told_request
from streams.deadletters.letter import Letter, Position, State
from streams.deadletters.policy import LetterPolicy
from streams.deadletters.requests import Action, Request, request_of
from streams.engine.parked_record import ParkedRecord
from streams.engine.stage import WAKEUPS
from streams.engine.wakeups import DUE, first_due_ms
from streams.errors import Category, InvalidMessage
from tests.unit.deadletters.letters import MINUTE_MS, NOW_MS, POLICY, MemoryScope, letter_record


def come(scope: MemoryScope, record: ParkedRecord, now_ms: int = NOW_MS, policy: LetterPolicy = POLICY) -> Letter:
    return take_up(scope, record, policy, now_ms, 0.5)


def ask(scope: MemoryScope, action: Action, letter: Letter, record: ParkedRecord | None, **policy: object) -> bool:
    """As the agent does; whether there was something to do."""
    request = Request(action, letter.id, Position.parse(letter.letter))
    assert request_of(request.headers()) == request  # type: ignore[arg-type]  # bytes all
    found = is_asked_of(scope, request)
    if found is not None:
        carry_out(scope, request, found, record, replace(POLICY, **policy))  # type: ignore[arg-type]
    return found is not None


@pytest.mark.parametrize(
    ("category", "state", "topic"),
    [
        (Category.INVALID_FORMAT, State.REVIEWED, "headrace.review"),
        (Category.UNROUTABLE, State.REVIEWED, "headrace.review"),
        (Category.BUSINESS_RULE, State.NOTIFIED, "headrace.notifications"),
        (Category.EXPIRED, State.ARCHIVED, "headrace.archive"),
        (Category.UNKNOWN, State.ARCHIVED, "headrace.archive"),
        (Category.TRANSIENT, State.NEW, ""),
        (Category.HELD, State.NEW, ""),
    ],
)
def test_each_category_goes_where_it_is_looked_at(category: Category, state: State, topic: str) -> None:
    scope, record = MemoryScope(), letter_record(category)
    come(scope, record)
    (letter,) = scope.letters()
    assert letter.state is state
    assert [sent.topic for sent in scope.sent] == ([topic] if topic else [])
    for sent in scope.sent:
        assert (sent.value, sent.key, sent.timestamp_ms) == (b"payload 0", b"k", NOW_MS - 5)
        assert sent.headers == dict(record.headers())


def due(scope: MemoryScope) -> list[tuple[int, Request]]:
    """Timers in the order in which they fire: after how many milliseconds, and what is asked for then."""
    rows = scope.state(WAKEUPS)
    return [(first_due_ms(key) - NOW_MS, due_request(rows.get(key)[1])) for key in rows.keys(DUE)]


def test_a_transient_letter_returns_by_itself_later_each_time_until_its_attempts_are_spent() -> None:
    scope = MemoryScope()
    waits = []
    for n in range(3):
        record = letter_record(Category.TRANSIENT, at=n)
        letter = come(scope, record)
        for wait_ms, request in due(scope):
            waits.append(wait_ms)
            assert request == Request(Action.REDRIVE, letter.id, Position.parse(letter.letter))
            assert ask(scope, request.action, letter, record)
        assert due(scope) == []
    assert waits == [MINUTE_MS, 5 * MINUTE_MS]
    (letter,) = scope.letters()
    assert (letter.state, letter.redrives, letter.next_redrive_at) == (State.NEW, 2, None)


def test_what_is_held_returns_with_the_letter_that_holds_it_and_in_order() -> None:
    scope = MemoryScope()
    come(scope, letter_record(Category.TRANSIENT, offset=9, at=0))
    come(scope, letter_record(Category.HELD, offset=10, at=1))
    come(scope, letter_record(Category.HELD, offset=11, at=2, key=b"other"))
    assert [(wait_ms, request.letter.offset) for wait_ms, request in due(scope)] == [(MINUTE_MS, 9), (MINUTE_MS, 10)]


def test_what_is_held_by_a_letter_for_people_waits_for_people() -> None:
    scope = MemoryScope()
    come(scope, letter_record(Category.TRANSIENT, offset=9, at=0))
    come(scope, letter_record(Category.UNKNOWN, offset=9, at=1))
    come(scope, letter_record(Category.HELD, offset=10, at=2))
    assert due(scope) == []


def test_a_redrive_is_the_letter_with_an_action_where_its_record_came_from() -> None:
    scope, record = MemoryScope(), letter_record(Category.UNKNOWN, offset=7)
    assert ask(scope, Action.REDRIVE, come(scope, record), record)
    sent = scope.sent[-1]
    assert (sent.topic, sent.partition, sent.value, sent.key) == ("headrace.router.redrive", 3, b"payload 7", b"k")
    assert (sent.timestamp_ms, sent.headers["headrace-action"]) == (NOW_MS - 5, b"redrive")
    assert sent.headers["__streams.errors.offset"] == b"7"
    assert sent.headers["ce_id"] == b"1"
    assert "__streams.errors.stacktrace" not in sent.headers, "or the letter could outgrow the redrive topic"
    assert scope.letters()[0].state is State.REDRIVEN


def test_a_discard_tells_the_stage_without_the_value() -> None:
    scope, record = MemoryScope(), letter_record(Category.UNKNOWN, offset=7)
    assert ask(scope, Action.DISCARD, come(scope, record), record)
    assert (scope.sent[-1].value, scope.sent[-1].headers["headrace-action"]) == (None, b"discard")
    assert scope.letters()[0].state is State.DISCARDED
    assert not ask(scope, Action.REDRIVE, scope.letters()[0], record)


def test_a_letter_that_fails_again_keeps_its_row_and_its_first_time() -> None:
    scope, record = MemoryScope(), letter_record(Category.UNKNOWN)
    first = come(scope, record)
    ask(scope, Action.REDRIVE, first, record)
    again = come(scope, letter_record(Category.BUSINESS_RULE, at=5, failed_at=NOW_MS / 1000 + 60))
    assert scope.letters() == [again]
    assert (again.redrives, again.state, again.letter) == (1, State.NOTIFIED, "headrace.router.dlq/1@5")
    assert again.first_failed_at == first.first_failed_at < again.last_failed_at


def test_a_request_about_an_earlier_failure_does_nothing() -> None:
    scope, record = MemoryScope(), letter_record(Category.UNKNOWN)
    stale = come(scope, record)
    ask(scope, Action.REDRIVE, stale, record)
    come(scope, letter_record(Category.UNKNOWN, at=5))
    before = scope.letters(), len(scope.sent)
    assert not ask(scope, Action.REDRIVE, stale, record)
    assert not ask(scope, Action.DISCARD, stale, record)
    assert (scope.letters(), len(scope.sent)) == before


@pytest.mark.parametrize(
    ("gone", "policy", "note"),
    [
        (True, {}, "not there any more"),
        (False, {"returning": frozenset()}, "takes no letters back"),
    ],
)
def test_what_cannot_go_back_stays_open_and_says_why(gone: bool, policy: dict[str, object], note: str) -> None:  # noqa: FBT001
    scope, record = MemoryScope(), letter_record(Category.TRANSIENT)
    ask(scope, Action.REDRIVE, come(scope, record), None if gone else record, **policy)
    (letter,) = scope.letters()
    assert note in letter.note
    assert letter.is_open
    assert scope.sent == []
    assert due(scope) == [], "nor is it tried for ever"


def test_a_letter_of_a_stage_that_takes_none_back_can_be_discarded() -> None:
    scope, record = MemoryScope(), letter_record(Category.UNKNOWN)
    ask(scope, Action.DISCARD, come(scope, record), record, returning=frozenset())
    assert scope.letters()[0].state is State.DISCARDED
    assert [sent.topic for sent in scope.sent] == ["headrace.archive"]


def test_a_letter_without_its_value_is_not_redriven() -> None:
    scope, record = MemoryScope(), letter_record(Category.TRANSIENT)
    record.carried.append(("headrace-omitted", b"value of 9 bytes"))
    letter = come(scope, record)
    assert letter.next_redrive_at is None
    ask(scope, Action.REDRIVE, letter, record)
    assert "too large" in scope.letters()[0].note
    ask(scope, Action.DISCARD, letter, record)
    assert scope.letters()[0].state is State.DISCARDED, "which needs no value"
    assert [sent.headers["headrace-action"] for sent in scope.sent] == [b"discard"]


def test_the_webhook_is_told_of_business_rules_until_it_has_heard() -> None:
    scope = MemoryScope()
    for n, category in enumerate(Category):
        come(scope, letter_record(category, offset=n, at=n))
    (key,) = scope.state("agenda").keys(TELL)
    request = told_request(scope.state("agenda").get(key))
    assert (request.action, request.letter.offset) == (Action.TOLD, list(Category).index(Category.BUSINESS_RULE))
    told(scope, replace(request, position=request.position._replace(offset=99)))
    assert scope.state("agenda").keys(TELL) == [key], "of this failure it has not heard"
    told(scope, request)
    assert scope.state("agenda").keys(TELL) == []


def test_without_a_webhook_nothing_waits_for_one() -> None:
    scope = MemoryScope()
    come(scope, letter_record(Category.BUSINESS_RULE), policy=replace(POLICY, webhook=None))
    assert scope.state("agenda").keys(TELL) == []


@pytest.mark.parametrize(
    "headers", [[], [("headrace-action", b"redrive")], [("headrace-action", b"burn"), ("x", None)]]
)
def test_what_is_no_request_is_refused(headers: list[tuple[str, bytes | None]]) -> None:
    with pytest.raises(InvalidMessage, match="expected headers headrace-action"):
        request_of(headers)


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "redrive", "discard"]), st.integers(0, 3), st.integers(0, 3)), max_size=40
)


@given(steps, st.sampled_from([Category.UNKNOWN, Category.TRANSIENT, Category.INVALID_FORMAT]))
def test_each_failure_is_sent_back_at_most_once(walk: list[tuple[str, int, int]], category: Category) -> None:
    """Letters fail and are asked for in any order, also with requests about failures that are long over."""
    scope = MemoryScope()
    failures: dict[int, list[tuple[Letter, ParkedRecord]]] = {n: [] for n in range(4)}
    for position, (step, of, back) in enumerate(walk):
        if step == "fail":
            record = letter_record(category, offset=of, at=position)
            failures[of].append((come(scope, record), record))
        elif failures[of]:
            letter, record = failures[of][-1 - min(back, len(failures[of]) - 1)]
            ask(scope, Action(step), letter, record)
    returned = [sent for sent in scope.sent if sent.topic == "headrace.router.redrive"]
    times = {n: sum(sent.headers["__streams.errors.offset"] == b"%d" % n for sent in returned) for n in failures}
    for letter in scope.letters():
        assert times[letter.offset] <= len(failures[letter.offset])
        assert letter.redrives == sum(
            sent.headers["__streams.errors.offset"] == b"%d" % letter.offset
            and sent.headers["headrace-action"] == b"redrive"
            for sent in returned
        )
        if not letter.is_open:
            assert letter.next_redrive_at is None
    waiting = sorted(str(request.position) for _, request in due(scope))
    assert waiting == sorted(letter.letter for letter in scope.letters() if letter.next_redrive_at)
