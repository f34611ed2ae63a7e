"""Where a table partition's committed rows live: in memory or in RocksDB, behind one contract.

A store changes only by `apply`, which writes rows and the mark of the changelog they came from atomically, so a crash
leaves it at an earlier mark and the missing tail is restored. Values are the changelog's bytes. The engine's thread
writes; web reads come from another thread and survive a store that closes under them.
"""

import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Protocol

import orjson
import structlog
from rocksdict import DbClosedError, Options, Rdict, WriteBatch

from streams.errors import ConfigurationRefused, HeadraceError

log = structlog.get_logger(__name__)

Rows = Iterable[tuple[bytes, bytes | None]]


class StoreClosed(HeadraceError):
    """The store was closed: its partition moved to another worker or the worker stops."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a store has followed which changelog.

    Args:
        cluster_id: Kafka's cluster id: a store of another cluster is wiped.
        topic_id: the changelog's topic id (KIP-516): one of a deleted topic is wiped.
        offset: the next changelog offset to read.
        written_at: unix time in seconds; a mark older than `delete.retention.ms` may have missed tombstones.
    """

    cluster_id: str
    topic_id: str
    offset: int
    written_at: float

    def to_bytes(self) -> bytes:
        """The form kept in a store."""
        return orjson.dumps([self.cluster_id, self.topic_id, self.offset, self.written_at])

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Mark":
        """Read what `to_bytes` wrote."""
        return cls(*orjson.loads(raw))


class StoreDamaged(HeadraceError):
    """What is on disk cannot be read; it was removed, and the next start restores it from the changelog."""


class Store(Protocol):
    """Rows of one table partition, sorted by key."""

    mark: Mark | None

    def get(self, key: bytes) -> bytes | None:
        """Committed value of `key`, or None.

        Raises:
            StoreClosed: the store is closed.
        """

    def scan(self, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` rows whose keys start with `prefix` and are greater than `after`, in key order.

        Raises:
            StoreClosed: the store is closed.
        """

    def apply(self, rows: Rows, mark: Mark) -> None:
        """Write rows (None deletes) and the mark, all or nothing."""

    def wipe(self) -> None:
        """Forget everything, the mark too."""

    def close(self) -> None:
        """Release files; closing twice does nothing."""


class MemoryStore:
    """Rows in a dict: fast, and restored from the changelog at every start."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self._rows: dict[bytes, bytes] = {}
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        """See Store."""
        if self._closed:
            raise StoreClosed("the table partition has moved away")
        return self._rows.get(key)

    def scan(self, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """See Store; the copy of the keys is one step under the interpreter's lock, so a writer cannot disturb it."""
        if self._closed:
            raise StoreClosed("the table partition has moved away")
        keys = nsmallest(
            limit,
            (key for key in list(self._rows) if key.startswith(prefix) and (after is None or key > after)),
        )
        rows = self._rows
        return [(key, value) for key in keys if (value := rows.get(key)) is not None]

    def apply(self, rows: Rows, mark: Mark) -> None:
        """See Store."""
        own = self._rows
        for key, value in rows:
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value
        self.mark = mark

    def wipe(self) -> None:
        """See Store."""
        self._rows.clear()
        self.mark = None

    def close(self) -> None:
        """See Store."""
        self._closed = True


_MARK_KEY = b"\x00mark"
_ROW = b"k"
# A worker has one per table partition, of 350 MB in all; and what is in it is replayed from the log, at about 70 ms for
# 5 MB, by the worker that comes back after a kill -9.
_WRITE_BUFFER_BYTES = 4 << 20


class RocksStore:
    """Rows in RocksDB under `path`; survives kill -9 with its write-ahead log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._damage: StoreDamaged | None = None
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 the library takes no keyword
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        options.set_max_open_files(64)
        options.set_keep_log_file_num(2)
        self._db: Rdict | None
        self.mark: Mark | None
        self._db, self.mark = self._opened(options)

    def _opened(self, options: Options) -> tuple[Rdict, Mark | None]:
        """Open the database; one that is damaged is made anew, since the changelog has everything."""
        try:
            db = Rdict(str(self.path), options)
            raw = db.get(_MARK_KEY)
            return db, Mark.from_bytes(raw) if raw is not None else None
        except Exception as error:  # the library raises nothing narrower
            if "/LOCK:" in str(error):  # the lock file's path; "block" stands in the message of a damaged one
                raise ConfigurationRefused(
                    f"{self.path} is in use by another worker; give each its own HEADRACE_INSTANCE_ID or _STATE_DIR"
                ) from error
            log.warning("wiping a damaged store", path=str(self.path), error=str(error))
            shutil.rmtree(self.path, ignore_errors=True)
            return Rdict(str(self.path), options), None

    def _remove_damaged(self, error: Exception) -> StoreDamaged:
        log.error("removing a damaged store", path=str(self.path), error=str(error))
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._damage = StoreDamaged(
            f"{self.path} was damaged ({error}); start again, it is restored from its changelog"
        )
        return self._damage

    def get(self, key: bytes) -> bytes | None:
        """See Store."""
        db = self._db
        if db is None:
            raise self._damage or StoreClosed("the table partition has moved away")
        try:
            value: bytes | None = db.get(_ROW + key)
        except DbClosedError:  # between the two lines above, on the engine's thread
            raise StoreClosed("the table partition has moved away") from None
        except Exception as error:  # the library raises nothing narrower
            raise self._remove_damaged(error) from error
        return value

    def scan(self, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """See Store."""
        with self._lock:
            if self._db is None:
                raise StoreClosed("the table partition has moved away")
            rows: list[tuple[bytes, bytes]] = []
            cursor = self._db.iter()
            cursor.seek(_ROW + (prefix if after is None or after < prefix else after))
            while cursor.valid() and len(rows) < limit:
                key = cursor.key()
                if not key.startswith(_ROW + prefix):
                    break
                if after is None or key[1:] > after:
                    rows.append((key[1:], cursor.value()))
                cursor.next()
            return rows

    def apply(self, rows: Rows, mark: Mark) -> None:
        """See Store; one WriteBatch."""
        if self._db is None:
            raise StoreClosed("the table partition has moved away")
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(_ROW + key)
            else:
                batch.put(_ROW + key, value)
        batch.put(_MARK_KEY, mark.to_bytes())
        self._db.write(batch)
        self.mark = mark

    def wipe(self) -> None:
        """See Store."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._open()

    def close(self) -> None:
        """See Store."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()
