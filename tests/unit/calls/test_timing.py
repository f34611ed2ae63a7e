"""What a call begins it ends before its cycle is given up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.calls.timing import LONGEST_TIMEOUT_S, timing_of
from streams.engine.handover import ACK_TIMEOUT_S
from tests.unit.calls.payments import CALL, TOPICS, topology

(CALLED,) = topology(TOPICS + CALL).calls


@given(st.integers(1, int(LONGEST_TIMEOUT_S * 1000)))
def test_the_last_call_that_may_begin_ends_in_time(timeout_ms: int) -> None:
    timing = timing_of(replace(CALLED, timeout=timeout_ms))
    assert timing.request_s <= timing.call_s
    assert timing.begin_s >= 1, "some calls may begin"
    assert timing.begin_s + timing.call_s <= ACK_TIMEOUT_S - 1
