"""Stream time never goes back, and what enters leaves once, in order, when its time is over."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.patterns.stream_time import StreamTime


class Rows(dict[bytes, Any]):
    """Rows in memory."""

    def set(self, key: bytes, value: Any) -> None:
        self[key] = value

    def delete(self, key: bytes) -> None:
        del self[key]


@given(st.lists(st.integers(-1, 200), max_size=80))
def test_entries_leave_in_order_when_stream_time_has_passed_them_and_not_before(timestamps: list[int]) -> None:
    rows = Rows()
    inside: list[tuple[int, int]] = []
    now = 0
    for number, timestamp in enumerate(timestamps):
        time = StreamTime(rows, 0, 50)  # made anew for each batch
        now = max(now, timestamp)
        assert time.tick(timestamp) == now
        left = [(each.number, each.entered_ms, each.what) for each in time.leave()]
        assert left == [(n, at, f"e{n}") for n, at in inside if now - at > 50]
        inside = [(n, at) for n, at in inside if now - at <= 50]
        assert time.enter(f"e{number}") == number
        inside.append((number, now))
        assert len(rows) == len(inside) + 1, "nothing stays behind"


def test_what_leaves_at_once_is_bounded() -> None:
    time = StreamTime(Rows(), 0, 10)
    for number in range(250):
        time.enter(str(number))
    time.tick(1000)
    assert [len(list(time.leave())) for _ in range(4)] == [100, 100, 50, 0]
