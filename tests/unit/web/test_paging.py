from hypothesis import given
from hypothesis import strategies as st

from streams.web.paging import Keyed, Page, merge, page_of

partitions = st.lists(st.sets(st.binary(max_size=2), max_size=12), max_size=5)


def cut(keys: set[bytes], partition: int, after: bytes | None, limit: int) -> Page:
    rows = [Keyed(key, partition, "") for key in sorted(keys) if after is None or key > after]
    return page_of(rows[: limit + 1], limit)


@given(partitions, st.integers(1, 6), st.integers(1, 2))
def test_pages_one_after_the_other_hold_every_row_once_in_order(held: list[set[bytes]], limit: int, steps: int) -> None:
    seen: list[tuple[bytes, object]] = []
    after: bytes | None = None
    for _turn in range(100):
        parts = [cut(keys, partition, after, limit) for partition, keys in enumerate(held)]
        if steps == 2:  # as when one worker merges its own partitions, and another merges the workers' pages
            parts = [merge(parts[:2], limit), merge(parts[2:], limit)]
        page = merge(parts, limit)
        assert len(page.rows) <= limit + len(held)
        seen += [(row.key, row.value) for row in page.rows]
        after = page.next
        if after is None:
            break
    expected = [(key, partition) for partition, keys in enumerate(held) for key in keys]
    assert sorted(seen, key=str) == sorted(expected, key=str)
    assert [key for key, _ in seen] == sorted(key for key, _ in seen)
