"""The rules of the headers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InvalidMessage, MessageExpired
from streams.messages.headers import check_time, check_ttl, format_time, message_id, parse_time, text_of, ttl_seconds

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-01-31T12:00:00Z", NOON),
        (b"2026-01-31t12:00:00z", NOON),
        (b"2026-01-31T13:30:00+01:30", NOON),
        (b"2026-01-31T12:00:00.25Z", NOON + timedelta(milliseconds=250)),
        (b"2026-01-31T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        (b"2026-01-31T11:59:60Z", NOON),
    ],
)
def test_rfc_3339_times_are_read(text: bytes, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [None, b"", b"yesterday", b"2026-01-31", b"2026-01-31T12:00:00", b"2026-13-01T00:00:00Z", b"\xff", b"1769860800"],
)
def test_other_times_are_refused(text: bytes | None) -> None:
    with pytest.raises(InvalidMessage, match="ce_time"):
        check_time(text)


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="no day of the calendar"):
        parse_time(b"2026-02-30T00:00:00Z")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_written_time_is_read_again(time: datetime) -> None:
    assert parse_time(format_time(time).encode()) == time


def test_a_ttl_runs_from_ce_time() -> None:
    check_ttl(NOON, b"10", NOON.timestamp() + 10)
    check_ttl(NOON, b"0.5", NOON.timestamp() - 3600)  # a future ce_time is accepted
    with pytest.raises(MessageExpired, match="ran out"):
        check_ttl(NOON, b"10", NOON.timestamp() + 10.1)


def test_a_ttl_runs_out_from_a_time_before_the_first_of_utc() -> None:
    with pytest.raises(MessageExpired, match="from 0001-01-01T00:00:00\\+14:00 ran out"):
        check_ttl(parse_time(b"0001-01-01T00:00:00+14:00"), b"1", NOON.timestamp())
    check_ttl(parse_time(b"9999-12-31T23:59:59-12:00"), b"1", NOON.timestamp())


@pytest.mark.parametrize("ttl", [None, b"", b"-1", b"soon", b"1e3", b"\xff", b"nan"])
def test_a_ttl_that_is_no_number_is_invalid(ttl: bytes | None) -> None:
    with pytest.raises(InvalidMessage, match="ttl"):
        ttl_seconds(ttl)


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe"])
def test_a_header_that_is_no_text_is_invalid(value: bytes | None) -> None:
    with pytest.raises(InvalidMessage, match="header ce_id"):
        text_of("ce_id", value)


def test_the_same_cause_makes_the_same_id() -> None:
    assert message_id("m-1", "transformer:order", 0) == message_id("m-1", "transformer:order")
    assert len({message_id(source, rule, n) for source in "ab" for rule in "xy" for n in range(3)}) == 12
