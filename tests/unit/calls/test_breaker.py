"""The circuit breaker: a peer that fails in a row is left alone, and one request a reset finds out about it."""

from hypothesis import given
from hypothesis import strategies as st

from streams.calls.breaker import CircuitBreaker


def opened(failures: int = 3, reset_s: float = 10) -> CircuitBreaker:
    """One that has been open since second 0."""
    breaker = CircuitBreaker(failures, reset_s)
    for _ in range(failures):
        breaker.failed(0)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_in_between_does_not_let_them() -> None:
    breaker = CircuitBreaker(3, 10)
    for outcome in ("fails", "fails", "succeeds", "fails", "fails"):
        assert breaker.admits(0)
        breaker.failed(0) if outcome == "fails" else breaker.succeeded()
    assert not breaker.is_open
    breaker.failed(0)
    assert breaker.is_open


def test_open_it_lets_one_request_a_reset_through_and_its_success_closes_it() -> None:
    breaker = opened()
    assert [breaker.admits(now) for now in (0, 9.9, 10, 10, 19.9)] == [False, False, True, False, False]
    breaker.failed(20)
    assert [breaker.admits(now) for now in (29, 30, 31)] == [False, True, False]
    breaker.succeeded()
    assert all(breaker.admits(31) for _ in range(5))


def test_a_trial_that_never_ends_is_followed_by_another() -> None:
    breaker = opened()
    assert breaker.admits(10)
    assert not breaker.admits(19)
    assert breaker.admits(20)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=100), st.integers(1, 5))
def test_a_peer_that_fails_always_is_asked_a_bounded_number_of_times(
    requests: list[tuple[float, bool]], failures: int
) -> None:
    breaker, now, asked = CircuitBreaker(failures, 10), 0.0, 0
    for pause, _ in requests:
        now += pause
        if breaker.admits(now):
            asked += 1
            breaker.failed(now)
    assert asked <= failures + now / 10


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=100))
def test_it_refuses_only_after_so_many_failures_in_a_row(requests: list[tuple[float, bool]]) -> None:
    breaker, now, in_a_row = CircuitBreaker(3, 10), 0.0, 0
    for pause, succeeds in requests:
        now += pause
        if not breaker.admits(now):
            assert in_a_row >= 3
        elif succeeds:
            breaker.succeeded()
            in_a_row = 0
        else:
            breaker.failed(now)
            in_a_row += 1
