"""What an HTTP answer means, and what it says in JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.calls.outcomes import Answer, Outcome, PeerUnavailable, answered_fields, outcome_of, settled
from streams.errors import Category, InvalidMessage, category_of


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SUCCEEDED),
        (201, Outcome.SUCCEEDED),
        (204, Outcome.SUCCEEDED),
        (301, Outcome.TRANSIENT),
        (400, Outcome.FAILED),
        (402, Outcome.FAILED),
        (404, Outcome.FAILED),
        (408, Outcome.TRANSIENT),
        (409, Outcome.FAILED),
        (429, Outcome.TRANSIENT),
        (500, Outcome.TRANSIENT),
        (503, Outcome.TRANSIENT),
    ],
)
def test_a_status_has_one_meaning(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


@given(st.integers(100, 599), st.binary(max_size=20))
def test_an_answer_settles_the_call_or_it_is_made_again(status: int, body: bytes) -> None:
    if outcome_of(status) is not Outcome.TRANSIENT:
        assert settled(status, body, "POST /x").outcome in {Outcome.SUCCEEDED, Outcome.FAILED}
        return
    with pytest.raises(PeerUnavailable, match=f"^POST /x: answered {status}$") as caught:
        settled(status, body, "POST /x")
    assert category_of(caught.value) is Category.TRANSIENT
    assert caught.value.at_once == (status != 429)


def test_an_answer_says_a_json_object_or_nothing() -> None:
    assert answered_fields(Answer(200, b'{"charge_id": "c"}')) == {"charge_id": "c"}
    assert answered_fields(Answer(204, b"")) == answered_fields(Answer(200, b" \n")) == {}
    with pytest.raises(InvalidMessage, match=r"^the answer 200: expected a JSON object, got 6 bytes of else$"):
        answered_fields(Answer(200, b"<html>"))
    with pytest.raises(InvalidMessage, match=r"got 3 bytes of else$"):
        answered_fields(Answer(200, b"[1]"))


def test_of_a_refusal_no_json_is_expected() -> None:
    assert answered_fields(Answer(403, b"<html>forbidden</html>")) == answered_fields(Answer(400, b"[]")) == {}
