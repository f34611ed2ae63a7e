"""Timers fire once, in the order of their times, not before them, and as they were last set."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.stage import TableSpec
from streams.engine.state import TablePartition, WriteSet
from streams.engine.stores import Mark, MemoryStore
from streams.engine.wakeups import DUE, Wakeup, cancel_wakeup, first_due_ms, set_wakeup, take_due

NAMES = st.sampled_from([b"a", b"a:b", b"", b"\xff", b"saga/1"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, st.integers(0, 50)),
        st.tuples(st.just("cancel"), NAMES),
        st.tuples(st.just("fire"), st.integers(0, 60), st.integers(1, 3)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("abort")),
    ),
    max_size=40,
)


class Partition:
    """A partition's timers in cycles that commit or are given up, beside a dict of what must be set."""

    def __init__(self) -> None:
        self.table = TablePartition(TableSpec("wakeups", "source"), 0, "changelog", MemoryStore())
        self.expected: dict[bytes, tuple[int, int]] = {}
        self.numbers = 0
        self.begin()

    def begin(self) -> None:
        self.writes = WriteSet(self.table)
        self.kept = dict(self.expected)

    def set(self, name: bytes, due_ms: int) -> None:
        self.numbers += 1
        set_wakeup(self.writes, name, due_ms, self.numbers)
        self.expected[name] = (due_ms, self.numbers)

    def cancel(self, name: bytes) -> None:
        assert cancel_wakeup(self.writes, name) == (name in self.expected)
        self.expected.pop(name, None)

    def fire(self, now_ms: int, limit: int) -> None:
        committed = [key for key, _ in self.table.store.scan(DUE, None, limit)]
        make = partial(Wakeup, "channel", 0)
        taken = take_due(self.writes, list(self.writes.rows), committed, now_ms, limit, make)
        for each in taken:
            assert (each.due_ms, int(each.payload)) == self.expected.pop(each.name)
        assert len(taken) <= limit
        assert [each.due_ms for each in taken] == sorted(each.due_ms for each in taken)
        assert all(each.due_ms <= now_ms for each in taken)
        left = [due_ms for due_ms, _ in self.expected.values()]
        assert not taken or not left or taken[-1].due_ms <= min(left)

    def commit(self) -> None:
        self.table.store.apply(self.writes.in_bytes().items(), Mark("c", "t", 1, 0.0))
        self.begin()

    def abort(self) -> None:
        self.expected = self.kept
        self.begin()


@given(STEPS)
def test_what_is_set_fires_once_when_it_is_due(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    partition = Partition()
    for step, *arguments in steps:
        getattr(partition, step)(*arguments)
    partition.commit()
    while partition.expected:  # each commit makes room for the next ones
        before = len(partition.expected)
        partition.fire(100, 2)
        assert len(partition.expected) < before
        partition.commit()
    assert partition.table.store.scan(DUE, None, 10) == []
    assert partition.table.store.scan(b"name:", None, 10) == []


def test_the_first_row_says_when_the_next_is_due() -> None:
    partition = Partition()
    for name, due_ms in ((b"late", 2_000_000_000_000), (b"soon", 7), (b"now", 30)):
        partition.set(name, due_ms)
    partition.commit()
    ((key, _),) = partition.table.store.scan(DUE, None, 1)
    assert first_due_ms(key) == 7
