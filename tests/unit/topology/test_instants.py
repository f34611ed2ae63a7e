"""Times and durations of `headrace replay`, as Kafka's tool reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UsageError
from streams.topology.instants import parse_datetime, parse_duration

ZONES = st.integers(-18 * 60, 18 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=ZONES))  # noqa: DTZ001 bounds are naive
def test_a_time_is_read_with_its_zone(moment: datetime) -> None:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_datetime(moment.isoformat(timespec="milliseconds")) == since // timedelta(milliseconds=1)
    assert parse_datetime(moment.isoformat(timespec="microseconds")) == since // timedelta(milliseconds=1)
    assert parse_datetime(moment.isoformat(timespec="seconds")) == since // timedelta(seconds=1) * 1000


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-25T10:15:00.250", "2026-11-25T10:15:00.250Z", "2026-11-25T12:15:00.250+02:00"),
        *("2026-11-25T12:15:00.250+02", "2026-11-25T12:15:00.250+0200", "2026-11-25T04:45:00.250-05:30"),
    ],
)
def test_without_a_zone_it_is_utc(text: str) -> None:
    assert parse_datetime(text) == 1795601700250


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-25", "2026-11-25 10:15:00.000", "2026-11-25T10:15", "2026-11-25T10:15:00.5"),
        *(
            "2026-02-30T10:15:00.000",
            "2026-11-25T24:00:00.000",
            "2026-11-25T10:15:60.000",
            "2026-11-25T10:15:00.000+25",
        ),
        *(
            "0000-11-25T10:15:00.000",
            "2026-11-25T10:15:00.000Zulu",
            "2026-11-25T10:15:00.000+01:60",
            "٢٠٢٦-11-25T10:15:00",
        ),
    ],
)
def test_what_is_no_time_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^expected a time such as [^\n]*, got [^\n]*$"):
        parse_datetime(text)


@given(st.tuples(*[st.none() | st.integers(0, 999)] * 4))
def test_a_duration_is_the_sum_of_its_parts(parts: tuple[int | None, ...]) -> None:
    days, hours, minutes, seconds = parts
    time = "".join(f"{part}{unit}" for part, unit in zip(parts[1:], "HMS", strict=True) if part is not None)
    text = "P" + ("" if days is None else f"{days}D") + (f"T{time}" if time else "")
    if text == "P":
        with pytest.raises(UsageError):
            parse_duration(text)
        return
    given_ = timedelta(days=days or 0, hours=hours or 0, minutes=minutes or 0, seconds=seconds or 0)
    assert parse_duration(text) == parse_duration(text.lower()) == given_ // timedelta(milliseconds=1)


@pytest.mark.parametrize(("text", "expected"), [("PT0.5S", 500), ("PT1.0001S", 1001), ("P1DT2H30M5.250S", 95_405_250)])
def test_parts_of_seconds_are_rounded_up(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1D", "P1W", "P1Y", "PT-5M", "-PT5M", "PT5", "P5M", "PT.5S", "PT1H1D"]
)
def test_what_is_no_duration_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^expected a duration PnDTnHnMnS [^\n]*, got [^\n]*$"):
        parse_duration(text)
