"""`faust.Table` as a face of the engine's tables: `table[key]` in an agent, and loud refusals of the rest."""

import asyncio
from typing import Any, NoReturn

import faust
from faust.streams import current_event
from faust.types.tables import TableManagerT
from mode import Service

from streams.engine.batch import Batch
from streams.engine.state import WriteSet
from streams.errors import ConfigurationRefused

_ABSENT = object()


def _refuse(what: str) -> NoReturn:
    raise ConfigurationRefused(f"tables of Headrace have no {what}; see docs/reference/engine.md for what they can do")


class StageTable(faust.Table):
    """Rows of the partition that the current batch comes from; str keys are UTF-8, values JSON."""

    def _rows(self) -> WriteSet:
        event = current_event()
        if event is None or not isinstance(event.value, Batch):
            raise ConfigurationRefused(
                f"table {self.name} is used outside an agent; read it through /api/tables or `headrace tables`"
            )
        return event.value.state(self.name)

    def __getitem__(self, key: Any) -> Any:
        value = self._rows().get(_encoded(key), _ABSENT)
        return self.__missing__(key) if value is _ABSENT else value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._rows().set(_encoded(key), value)

    def __delitem__(self, key: Any) -> None:
        self._rows().delete(_encoded(key))

    def __contains__(self, key: Any) -> bool:
        return self._rows().get(_encoded(key), _ABSENT) is not _ABSENT

    def get(self, key: Any, default: Any = None) -> Any:
        """Row of `key`, or `default`."""
        return self._rows().get(_encoded(key), default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set rows one by one; Faust's own would pass the write set by."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    async def on_start(self) -> None:
        """Nothing: the engine opens stores when partitions are assigned."""

    def clear(self) -> None:
        """Refused: a table is emptied by tombstones, key by key."""
        _refuse("clear()")

    def hopping(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        del args, kwargs
        _refuse("windows")

    def tumbling(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        del args, kwargs
        _refuse("windows")

    def using_window(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        del args, kwargs
        _refuse("windows")

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:  # noqa: PLE0303 it never returns
        _refuse("length")

    def __iter__(self) -> Any:
        _refuse("iteration in agents")

    def items(self, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        del args, kwargs
        _refuse("iteration in agents")

    keys = items
    values = items


def _encoded(key: Any) -> bytes:
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode()
    raise TypeError(f"a table's key is bytes or str, not {type(key).__name__}")


class StageTables(Service, TableManagerT):
    """Faust's table manager without its changelogs and recovery, which are the engine's."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.data: dict[str, StageTable] = {}
        self.actives_ready = self.standbys_ready = True
        self.recovered = asyncio.Event()

    __hash__ = object.__hash__

    def add(self, table: Any) -> Any:
        """Register a table."""
        self.data[table.name] = table
        return table

    @property
    def changelog_topics(self) -> set[str]:
        """None that Faust may touch."""
        return set()

    def persist_offset_on_commit(self, *args: Any) -> None:
        """Nothing: the store's mark does that."""

    def on_commit(self, offsets: Any) -> None:
        """Nothing: the engine commits."""

    async def on_rebalance(self, *args: Any) -> None:
        """Nothing: the engine's ownership follows rebalances."""

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing, as above."""

    def on_rebalance_start(self) -> None:
        """Nothing, as above."""

    async def wait_until_tables_registered(self) -> None:
        """Nothing to wait for: a stage's spec names its tables."""

    async def wait_until_recovery_completed(self) -> bool:
        """Nothing to wait for: partitions are served one by one as they are restored."""
        return False
