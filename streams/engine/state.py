"""State of a stage without Faust: committed table partitions, and the write set of one cycle on top of each.

Values are JSON (orjson) from the moment they are set: whoever changes an object after reading it changes only its own
copy, so an undone record or an aborted cycle leaves nothing behind.
"""

from typing import Any

import orjson

from streams.engine.stage import TP, TableSpec
from streams.engine.stores import Mark, Store

_ABSENT = object()
_dumps = orjson.dumps
_loads = orjson.loads
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1  # what orjson takes for a whole number


class TablePartition:
    """Committed rows of one partition of one table.

    Args:
        spec: the table.
        partition: its number, which is also the changelog's and the sources'.
        changelog: topic that holds the rows.
        store: where they are kept here.
    """

    __slots__ = ("changelog", "partition", "spec", "store")

    def __init__(self, spec: TableSpec, partition: int, changelog: str, store: Store) -> None:
        self.spec = spec
        self.partition = partition
        self.changelog = changelog
        self.store = store

    def get_raw(self, key: bytes) -> bytes | None:
        """Committed bytes of a row."""
        return self.store.get(key)

    def close(self, now: float, *, complete: bool) -> None:
        """Close the store; a complete one is noted to have been so until `now` (unix seconds)."""
        mark = self.store.mark
        if complete and mark is not None:
            self.store.apply((), Mark(mark.cluster_id, mark.topic_id, mark.offset, now))
        self.store.close()


class WriteSet:
    """What one cycle wrote to one table partition; reads see it on top of the committed rows.

    It dies with its cycle: an agent that comes late writes to a set that nobody reads any more.
    """

    __slots__ = ("_committed", "origins", "rows", "table", "undo")

    def __init__(self, table: TablePartition) -> None:
        self.table = table
        # The changelog's bytes; a whole number stays one until the commit, which counters that change often pay for.
        self.rows: dict[bytes, Any] = {}
        self.undo: list[tuple[bytes, Any]] = []
        # Which record wrote a key last: known only in a traced cycle, where a refused changelog record needs a culprit.
        self.origins: dict[bytes, tuple[TP, int]] = {}
        self._committed = table.store.get

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of `key` as this cycle sees it, a fresh object each time; `default` where there is none."""
        raw = self.rows.get(key, _ABSENT)
        if raw is _ABSENT:
            raw = self._committed(key)
        if type(raw) is int:
            return raw
        return default if raw is None else _loads(raw)

    def set(self, key: bytes, value: Any) -> None:
        """Write a JSON-able value.

        Raises:
            TypeError: the value is not JSON-able.
        """
        raw = value if type(value) is int and _LEAST <= value <= _MOST else _dumps(value)
        rows = self.rows
        self.undo.append((key, rows.get(key, _ABSENT)))
        rows[key] = raw

    def get_raw(self, key: bytes) -> bytes | None:
        """Bytes of a row of a `values="bytes"` table, or None."""
        raw = self.rows.get(key, _ABSENT)
        return self._committed(key) if raw is _ABSENT else raw

    def set_raw(self, key: bytes, raw: bytes) -> None:
        """Write a row of a `values="bytes"` table."""
        self.undo.append((key, self.rows.get(key, _ABSENT)))
        self.rows[key] = raw

    def delete(self, key: bytes) -> None:
        """Remove a row; the changelog gets a tombstone."""
        self.undo.append((key, self.rows.get(key, _ABSENT)))
        self.rows[key] = None

    def in_bytes(self) -> dict[bytes, bytes | None]:
        """The rows as changelog and store take them."""
        rows = self.rows
        for key, raw in rows.items():
            if type(raw) is int:
                rows[key] = b"%d" % raw
        return rows

    def settle(self) -> None:
        """Let stand what was written outside any record's handling: the next record that fails must not undo it."""
        for key, _ in self.undo:
            self.origins.pop(key, None)
        self.undo.clear()

    def rollback(self) -> None:
        """Undo what was written since `undo` was last cleared: the writes of one record."""
        rows = self.rows
        for key, before in reversed(self.undo):
            if before is _ABSENT:
                del rows[key]
            else:
                rows[key] = before
        self.undo.clear()
