from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.deadletters.filters import GROUPED_BY, Filters, Grouping, parse_filters
from streams.deadletters.letter import Letter, State, letter_of
from streams.errors import Category, UsageError
from tests.unit.deadletters.letters import letter_record

letters = st.builds(
    lambda category, offset, key, stage, state: replace(
        letter_of(letter_record(category, offset=offset, key=key, stage=stage)), state=state
    ),
    st.sampled_from(Category),
    st.integers(0, 99),
    st.sampled_from([None, b"a", b"b", b"\xff"]),
    st.sampled_from(["router", "transformer"]),
    st.sampled_from(State),
)


@pytest.mark.parametrize(
    ("given_", "matches"),
    [
        ({}, True),
        ({"category": "TRANSIENT"}, True),
        ({"category": "UNKNOWN"}, False),
        ({"exception": "TransientError"}, True),
        ({"stage": "router", "key": "k"}, True),
        ({"stage": "route"}, False),
        ({"route": "all"}, False),
        ({"state": "open"}, True),
        ({"state": "new"}, True),
        ({"state": "redriven"}, False),
        ({"since": "2026-09-21T14:13:20Z"}, True),
        ({"since": "2026-09-21T16:13:20.001+02:00"}, False),
        ({"until": "2026-09-21T14:13:20Z"}, False),
        ({"until": "2026-09-21T14:13:20.001"}, True),
    ],
)
def test_a_letter_is_meant_where_everything_given_holds(given_: dict[str, str], matches: bool) -> None:  # noqa: FBT001
    assert parse_filters(given_).matches(letter_of(letter_record(Category.TRANSIENT))) is matches


@pytest.mark.parametrize(
    "given_", [{"category": "transient"}, {"state": "gone"}, {"since": "yesterday"}, {"key": "base64:!"}]
)
def test_what_cannot_be_meant_is_refused_by_name(given_: dict[str, str]) -> None:
    (name,) = given_
    with pytest.raises(UsageError, match=f"^{name}: expected"):
        parse_filters(given_)


@given(letters)
def test_a_letter_is_found_by_all_that_it_is(letter: Letter) -> None:
    said = {name: getattr(letter, name) for name in ("category", "exception", "stage", "route", "key", "state")}
    filters = parse_filters({**said, "since": letter.last_failed_at})
    assert filters.matches(letter)
    assert letter.id.row_key().startswith(filters.prefix)
    assert parse_filters(filters.given()) == filters


@given(st.lists(letters), st.lists(st.sampled_from(GROUPED_BY), unique=True, min_size=1))
def test_groups_count_every_letter_once(found: list[Letter], by: list[str]) -> None:
    grouping = Grouping(by)
    grouping.add(found[:3])
    grouping.add(found[3:])
    rows = grouping.rows()
    assert sum(int(row["letters"] or 0) for row in rows) == len(found)
    assert [row["letters"] for row in rows] == sorted((row["letters"] for row in rows), reverse=True)  # type: ignore[type-var]
    for row in rows:
        of_group = [each for each in found if all(getattr(each, name) == row[name] for name in by)]
        assert len(of_group) == row["letters"]
        assert max(each.last_failed_at for each in of_group) == row["last_failed_at"]


def test_filters_that_say_nothing_mean_everything() -> None:
    assert Filters().prefix == b""
    assert Filters().given() == {}
