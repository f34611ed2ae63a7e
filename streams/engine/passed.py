"""How far the owned partitions have been processed, as their tables show it, and who waits for more.

The engine's thread notes next offsets once a cycle, after the rows are in the stores; readers on an event loop wait.
"""

import asyncio
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

from streams.engine.stage import TP


class _Waiter(NamedTuple):
    positions: Mapping[TP, int]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[bool]"

    def tell(self, *, passed: bool) -> None:
        with suppress(RuntimeError):  # its loop is closed
            self.loop.call_soon_threadsafe(self._settle, passed)

    def _settle(self, passed: bool) -> None:  # noqa: FBT001 call_soon_threadsafe takes no keywords
        if not self.answer.done():
            self.answer.set_result(passed)


class Passed:
    """Next offset of every source in every partition that is open here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[TP, int] = {}
        self._waiting: list[_Waiter] = []

    def advance(self, next_offsets: Mapping[TP, int]) -> None:
        """The tables reflect every record below these offsets."""
        with self._lock:
            self._next.update(next_offsets)
            for waiter in [waiter for waiter in self._waiting if self._covers(waiter.positions)]:
                self._waiting.remove(waiter)
                waiter.tell(passed=True)

    def forget(self, partitions: Collection[int]) -> None:
        """These moved away: whoever waits for them must look elsewhere."""
        with self._lock:
            self._next = {tp: offset for tp, offset in self._next.items() if tp.partition not in partitions}
            gone = [w for w in self._waiting if any(tp.partition in partitions for tp in w.positions)]
            for waiter in gone:
                self._waiting.remove(waiter)
                waiter.tell(passed=False)

    def last(self, tp: TP) -> int | None:
        """Offset of the last record that the tables reflect, -1 before the first; None where `tp` is not open."""
        following = self._next.get(tp)
        return None if following is None else following - 1

    def _covers(self, positions: Mapping[TP, int]) -> bool:
        return all(self._next.get(tp, -1) > offset for tp, offset in positions.items())

    async def wait(self, positions: Mapping[TP, int], timeout_s: float) -> bool:
        """Wait until the records at these offsets are reflected; False when time is up or a partition moved away."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(positions, loop, loop.create_future())
        with self._lock:
            if self._covers(positions):
                return True
            if not positions.keys() <= self._next.keys():
                return False
            self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.answer
        except TimeoutError:
            return False
        finally:
            with self._lock, suppress(ValueError):  # told meanwhile
                self._waiting.remove(waiter)
