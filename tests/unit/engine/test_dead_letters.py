"""The dead letter's headers, letter by letter as the design fixes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.dead_letters import Failure, Headers, dead_letter_headers
from streams.errors import (
    BusinessRuleViolation,
    InvalidMessage,
    MessageExpired,
    MessageRefused,
    NoRouteMatches,
    RecordError,
    TransientError,
)

FAILED_AT = 1_790_000_000.25
RFC_3339 = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def failure(error: BaseException, route: str | None = None) -> Failure:
    return Failure("counting", "orders", 2, 41, error, route, FAILED_AT)


def raised(error: Exception) -> Exception:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        fail()
    return caught.value


def headers_of(error: BaseException, original: Headers | None = None, route: str | None = None) -> Headers:
    return dead_letter_headers(original, failure(error, route))


def test_the_headers_are_exactly_these() -> None:
    found = headers_of(raised(ValueError("boom")), [("ce_id", b"1"), ("x", b"\xff")], route="critical")
    trace = dict(found).pop("__streams.errors.stacktrace")
    assert [header for header in found if header[0] != "__streams.errors.stacktrace"] == [
        ("ce_id", b"1"),
        ("x", b"\xff"),
        ("__streams.errors.exception", b"ValueError"),
        ("__streams.errors.message", b"boom"),
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"2"),
        ("__streams.errors.offset", b"41"),
        ("headrace-category", b"UNKNOWN"),
        ("headrace-stage", b"counting"),
        ("headrace-attempts", b"1"),
        ("headrace-first-failed-at", b"2026-09-21T14:13:20.250Z"),
        ("headrace-last-failed-at", b"2026-09-21T14:13:20.250Z"),
        ("headrace-route", b"critical"),
    ]
    assert isinstance(trace, bytes)
    assert trace.startswith(b"Traceback")
    assert b"ValueError: boom" in trace


def test_times_are_rfc_3339_even_on_a_whole_second() -> None:
    whole = dict(dead_letter_headers(None, Failure("s", "t", 0, 0, ValueError(), None, 1_790_000_000.0)))
    assert RFC_3339.fullmatch(whole["headrace-last-failed-at"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (InvalidMessage("x"), b"INVALID_FORMAT"),
        (MessageRefused("x"), b"INVALID_FORMAT"),
        (MessageExpired("x"), b"EXPIRED"),
        (NoRouteMatches("x"), b"UNROUTABLE"),
        (BusinessRuleViolation("x"), b"BUSINESS_RULE"),
        (TransientError("x"), b"TRANSIENT"),
        (RecordError("x"), b"UNKNOWN"),
        (KeyError("x"), b"UNKNOWN"),
    ],
)
def test_every_error_has_its_category_and_bare_class_name(error: Exception, category: bytes) -> None:
    found = dict(headers_of(error))
    assert found["headrace-category"] == category
    assert found["__streams.errors.exception"] == type(error).__name__.encode()


def test_without_a_route_there_is_no_route_header() -> None:
    assert "headrace-route" not in dict(headers_of(ValueError("x")))


def test_headers_of_an_earlier_failure_are_replaced_and_all_others_kept_in_order() -> None:
    first = headers_of(ValueError("first"), [("a", b"1"), ("b", None), ("a", b"2")], route="one")
    second = headers_of(KeyError("second"), first)
    names = [name for name, _ in second]
    assert names[:3] == ["a", "b", "a"]
    assert len(names) == len(set(names)) + 1
    assert dict(second)["__streams.errors.exception"] == b"KeyError"
    assert "headrace-route" not in names


@given(st.text(max_size=12), st.integers(0, 6000))
def test_trace_and_message_are_cut_and_valid_utf_8(text: str, times: int) -> None:
    found = dict(headers_of(raised(ValueError(f"{text}é€😀" * times))))
    for name, limit in (("stacktrace", 4096), ("message", 4096)):
        raw = found[f"__streams.errors.{name}"]
        assert isinstance(raw, bytes)
        assert len(raw) <= limit
        raw.decode()


def test_a_long_trace_uses_its_four_kibibytes() -> None:
    trace = dict(headers_of(raised(ValueError("€" * 5000))))["__streams.errors.stacktrace"]
    assert isinstance(trace, bytes)
    assert 4096 - 4 <= len(trace) <= 4096


def test_an_error_that_cannot_be_printed_still_makes_a_letter() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    found = dict(headers_of(raised(Unprintable())))
    assert found["__streams.errors.exception"] == b"Unprintable"


def test_lone_surrogates_do_not_break_the_letter() -> None:
    found = dict(headers_of(raised(ValueError("\ud800 and text"))))
    assert found["__streams.errors.message"] == b"? and text"
