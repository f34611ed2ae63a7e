"""What every store promises, run against each of them alike."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.stores import Mark, MemoryStore, RocksStore, Store, StoreClosed
from streams.errors import ConfigurationRefused

MARK = Mark("cluster", "topic-id", 7, 1_790_000_000.25)
LATER = Mark("cluster", "topic-id", 9, 1_790_000_001.0)

Opener = Callable[[], Store]


@pytest.fixture(params=["memory", "rocksdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    if request.param == "memory":
        return MemoryStore
    return lambda: RocksStore(tmp_path / "table" / "3")


@pytest.fixture
def store(open_store: Opener) -> Store:
    return open_store()


def test_a_new_store_is_empty_and_stands_nowhere(store: Store) -> None:
    assert store.mark is None
    assert store.get(b"any") is None
    assert store.scan(b"", None, 10) == []


def test_rows_and_mark_come_together(store: Store) -> None:
    store.apply([(b"a", b"1"), (b"b", b"2")], MARK)
    assert (store.get(b"a"), store.get(b"b"), store.mark) == (b"1", b"2", MARK)
    store.apply([(b"a", None), (b"b", b"3")], LATER)
    assert (store.get(b"a"), store.get(b"b"), store.mark) == (None, b"3", LATER)


def test_a_mark_alone_leaves_the_rows(store: Store) -> None:
    store.apply([(b"a", b"1")], MARK)
    store.apply((), LATER)
    assert (store.get(b"a"), store.mark) == (b"1", LATER)


def test_the_last_write_of_a_key_counts(store: Store) -> None:
    store.apply([(b"a", b"1"), (b"a", None), (b"a", b"2"), (b"b", b"1"), (b"b", None)], MARK)
    assert store.scan(b"", None, 10) == [(b"a", b"2")]


def test_empty_values_and_keys_of_any_bytes_are_rows(store: Store) -> None:
    rows = [(b"", b""), (b"\x00", b""), (b"\x00mark", b"x"), (b"\xff\xff", b"\x00")]
    store.apply(rows, MARK)
    assert store.scan(b"", None, 10) == rows
    assert store.mark == MARK


def test_wiping_forgets_rows_and_mark(store: Store) -> None:
    store.apply([(b"a", b"1")], MARK)
    store.wipe()
    assert (store.get(b"a"), store.scan(b"", None, 10), store.mark) == (None, [], None)
    store.apply([(b"b", b"2")], LATER)
    assert (store.scan(b"", None, 10), store.mark) == ([(b"b", b"2")], LATER)


def test_closing_twice_does_nothing(store: Store) -> None:
    store.close()
    store.close()


def test_reading_a_closed_store_says_so(store: Store) -> None:
    store.apply([(b"a", b"1")], MARK)
    store.close()
    with pytest.raises(StoreClosed):
        store.get(b"a")
    with pytest.raises(StoreClosed):
        store.scan(b"", None, 10)


def test_readers_survive_a_store_that_closes_under_them(store: Store) -> None:
    store.apply([(b"%06d" % i, b"v") for i in range(2_000)], MARK)
    started, unexpected = threading.Barrier(5), list[BaseException]()

    def read(once: Callable[[], object]) -> None:
        started.wait(10)
        try:
            while True:
                once()
        except StoreClosed:
            return
        except BaseException as error:  # noqa: BLE001 whatever it is, it is the finding
            unexpected.append(error)

    reads: list[Callable[[], object]] = [lambda: store.get(b"000007"), lambda: store.scan(b"0", None, 50)]
    readers = [threading.Thread(target=read, args=(once,)) for once in reads * 2]
    for reader in readers:
        reader.start()
    started.wait(10)
    store.close()
    for reader in readers:
        reader.join(10)
    assert not any(reader.is_alive() for reader in readers)
    assert unexpected == []


Key = st.binary(max_size=3) | st.sampled_from([b"a", b"ab", b"abc", b"b", b"\x00", b"\xff"])
Write = st.tuples(Key, st.none() | st.binary(max_size=4))


@settings(max_examples=30, deadline=None)
@given(
    batches=st.lists(st.lists(Write, max_size=12), min_size=1, max_size=4),
    prefix=st.binary(max_size=2),
    after=st.none() | Key,
    limit=st.integers(0, 12),
)
@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_scans_agree_with_a_sorted_dict(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[bytes, bytes | None]]],
    prefix: bytes,
    after: bytes | None,
    limit: int,
) -> None:
    store: Store = MemoryStore() if kind == "memory" else RocksStore(tmp_path_factory.mktemp("scan") / "0")
    model: dict[bytes, bytes] = {}
    for offset, batch in enumerate(batches):
        store.apply(batch, Mark("c", "t", offset, 0.0))
        for key, value in batch:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
    expected = [(key, model[key]) for key in sorted(model) if key.startswith(prefix) and (after is None or key > after)]
    assert store.scan(prefix, after, limit) == expected[:limit]
    assert {key: store.get(key) for key in model} == model
    store.close()


def test_pages_of_a_scan_are_the_whole(store: Store) -> None:
    rows = [(b"%04d" % (i * 37 % 1000), b"%d" % i) for i in range(1000)]
    store.apply(rows, MARK)
    found: list[tuple[bytes, bytes]] = []
    while page := store.scan(b"", found[-1][0] if found else None, 64):
        found.extend(page)
    assert found == sorted(rows)


def test_reopening_keeps_rows_and_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    store = RocksStore(path)
    store.apply([(b"a", b"1")], MARK)
    store.close()
    again = RocksStore(path)
    assert (again.get(b"a"), again.mark) == (b"1", MARK)
    again.close()


def test_a_write_that_fails_halfway_leaves_neither_rows_nor_mark(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "rows")
    store.apply([(b"a", b"1")], MARK)

    def rows() -> Iterator[tuple[bytes, bytes | None]]:
        yield b"b", b"2"
        yield b"a", None
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.apply(rows(), LATER)
    assert (store.scan(b"", None, 10), store.mark) == ([(b"a", b"1")], MARK)
    store.close()


def test_a_read_that_was_under_way_when_the_store_closed_says_so(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "rows")
    assert store._db is not None
    store._db.close()  # what close() does between the two steps of a get() on another thread
    with pytest.raises(StoreClosed):
        store.get(b"a")


def test_a_folder_that_rocksdb_cannot_open_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    store = RocksStore(path)
    store.apply([(b"a", b"1")], MARK)
    store.close()
    (path / "CURRENT").write_text("torn by a power cut")
    again = RocksStore(path)
    assert (again.get(b"a"), again.mark) == (None, None)
    again.close()


def test_a_folder_with_a_damaged_block_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    store = RocksStore(path)
    store.apply([(b"%04d" % i, b"v" * 50) for i in range(2000)], MARK)
    store.close()
    RocksStore(path).close()  # which moves the rows from the log to a table
    tables = list(path.glob("*.sst"))
    assert tables
    for table in tables:
        table.write_bytes(bytes(len(table.read_bytes())))
    again = RocksStore(path)
    assert (again.scan(b"", None, 10), again.mark) == ([], None)
    again.close()


def test_a_store_in_use_is_not_wiped_but_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "rows")
    store.apply([(b"a", b"1")], MARK)
    with pytest.raises(ConfigurationRefused, match="HEADRACE_INSTANCE_ID"):
        RocksStore(tmp_path / "rows")
    assert store.get(b"a") == b"1"
    store.close()


@given(
    st.builds(Mark, st.text(max_size=8), st.text(max_size=8), st.integers(0, 2**62), st.floats(0, 4e9, allow_nan=False))
)
def test_a_mark_survives_its_bytes(mark: Mark) -> None:
    assert Mark.from_bytes(mark.to_bytes()) == mark
