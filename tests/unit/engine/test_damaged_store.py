"""Damage on disk that RocksDB notices only when a block is read."""

import random
from pathlib import Path

import pytest

from streams.engine.stores import Mark, RocksStore, StoreDamaged


def test_damage_that_shows_only_when_a_row_is_read_is_removed_and_told(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    store = RocksStore(path)
    rows = [(b"k%06d" % n, random.Random(n).randbytes(2000)) for n in range(12_000)]
    store.apply(rows, Mark("cluster", "topic", 1, 0.0))
    store.apply((), Mark("cluster", "topic", 2, 0.0))
    store.close()
    for table in path.glob("*.sst"):
        content = bytearray(table.read_bytes())
        content[:60] = bytes(byte ^ 0xFF for byte in content[:60])
        table.write_bytes(content)
    damaged = RocksStore(path)
    if damaged.mark is not None:
        with pytest.raises(StoreDamaged, match="start again"):
            assert [damaged.get(key) for key, _ in rows] == []
        with pytest.raises(StoreDamaged):
            damaged.get(b"k")
        assert not path.exists()
        damaged = RocksStore(path)
    assert damaged.mark is None
    assert damaged.get(rows[0][0]) is None
    damaged.close()
