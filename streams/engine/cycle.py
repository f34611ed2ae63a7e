"""The epoch of a stage: one Kafka transaction from its first record to its commit or its end.

Everything an agent can touch hangs off the cycle that handed it its batch: the acknowledgement and one write set per
table partition. When the cycle is dead, late acknowledgements and writes go nowhere.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from streams.engine.stage import TP
from streams.engine.state import TablePartition, WriteSet

if TYPE_CHECKING:
    from streams.engine.batch import Batch
    from streams.engine.deferral import Halt


class AgentFailed(Exception):
    """An agent raised outside any record's handling, or did not take or finish its batch."""

    def __init__(self, reason: str, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.__cause__ = cause


class Cycle:
    """One transaction's acknowledgements, offsets and write sets.

    Args:
        tables: table partitions of this stage by (table name, partition).
    """

    __slots__ = (
        "_done",
        "_failure",
        "_handed_over_at",
        "_pending",
        "_tables",
        "callbacks",
        "dead",
        "first",
        "halted",
        "held_back",
        "letters",
        "lock",
        "next",
        "opened_at",
        "records",
        "write_sets",
    )

    def __init__(self, tables: Mapping[tuple[str, int], TablePartition]) -> None:
        self._tables = tables
        self.opened_at = time.monotonic()
        self.dead = False
        # Held while an agent produces and while the cycle is declared dead: what comes later produces nothing.
        self.lock = threading.Lock()
        # Partitions of which a batch could not produce at once: later ones must wait their turn.
        self.held_back: set[TP] = set()
        # Partitions that stand still from an offset on: what comes of them later in this cycle is not handled.
        self.halted: dict[TP, Halt] = {}
        self.first: dict[TP, int] = {}
        self.next: dict[TP, int] = {}
        self.write_sets: dict[tuple[str, int], WriteSet] = {}
        self.callbacks: list[Callable[[float], None]] = []
        self.records = 0
        self.letters: dict[str, int] = {}
        self._pending = 0
        self._handed_over_at = self.opened_at
        self._failure: AgentFailed | None = None
        self._done = threading.Event()

    def age_s(self) -> float:
        """Seconds since the transaction began."""
        return time.monotonic() - self.opened_at

    def write_set(self, table: str, partition: int) -> WriteSet:
        """This cycle's writes to a table partition.

        Raises:
            KeyError: the stage has no such table, or does not own the partition.
        """
        at = (table, partition)
        writes = self.write_sets.get(at)
        if writes is None:
            writes = self.write_sets[at] = WriteSet(self._tables[at])
        return writes

    def die(self) -> None:
        """Give the cycle up: from now on nothing that its agents do has any effect."""
        with self.lock:
            self.dead = True

    # -- acknowledgements: `expect` on the engine's thread before a hand-over, the others on the event loop

    def expect(self, batches: int) -> None:
        """Batches that will be handed over now."""
        self._pending = batches
        self._handed_over_at = time.monotonic()
        self._done.clear()

    def acknowledge(self, batch: "Batch") -> None:
        """One batch was handled whole."""
        batch.done = True
        self._pending -= 1
        if self._pending == 0:
            self._done.set()

    def share_until(self, within_s: float) -> float:
        """When a batch should stop (monotonic seconds), so that all that were handed over with it stop `within_s`.

        What is left is shared by those that are not done: one that is early leaves the others more.
        """
        now = time.monotonic()
        left_s = max(self._handed_over_at + within_s - now, 0.0)
        return now + left_s / max(self._pending, 1)

    def fail(self, failure: AgentFailed) -> None:
        """A batch was not handled: the cycle will be aborted."""
        if self._failure is None:
            self._failure = failure
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for every acknowledgement; False when time ran out first.

        Raises:
            AgentFailed: an agent gave up its batch.
        """
        done = self._done.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        return done

    def keep(self, batch: "Batch") -> None:
        """Note what a handled batch counts, wants to do after the commit, and how far its partition has come."""
        if batch.next_offset is not None:
            self.next[TP(batch.topic, batch.partition)] = batch.next_offset
        self.callbacks.extend(batch.callbacks)
        self.records += batch.handled
        for (category, _), count in batch.failures.items():
            self.letters[category] = self.letters.get(category, 0) + count
