"""Who owns which partition of a stage, and how many partitions it has: Kafka's answers, remembered briefly.

Ownership may be stale by `OWNERS_SECONDS`; a worker that is asked in error answers 503, never something
untrue, and the stale owners are forgotten. Who must prove its own ownership says how old an answer may be.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from streams.engine.owners import Owners
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError
from streams.web.refusals import unavailable

HOP_SECONDS = 2.0
OWNERS_SECONDS = 1.0

_ATTEMPTS = 3  # one look-up that was under way, one that joins a question that was, and one of its own
_NOBODY = Owners(0.0, {}, frozenset())
T = TypeVar("T")


class Directory:
    """Looks up owners and partition counts; requests that want the same wait for one look-up together.

    So a flood of requests in an outage asks Kafka once at a time, and each still ends in `HOP_SECONDS`.

    Args:
        find_owners: asks the stage, or its group, for the owner of each partition.
        count_partitions: asks for the partition count of a topic.
        clock: monotonic seconds, those of `Owners.asked_at`.
    """

    def __init__(
        self,
        find_owners: Callable[[StageSpec], Awaitable[Owners]],
        count_partitions: Callable[[str], Awaitable[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_owners = find_owners
        self._count_partitions = count_partitions
        self._clock = clock
        self._owners: dict[str, Owners] = {}
        self._counts: dict[str, int] = {}
        self._asking: dict[str, asyncio.Future[None]] = {}

    async def owners(self, spec: StageSpec, asked_after: float | None = None) -> Owners:
        """Who owns the partitions, as Kafka said `OWNERS_SECONDS` ago at most, or after a moment that is given.

        Raises:
            Refusal: 503, Kafka did not say in time.
        """
        since = self._clock() - OWNERS_SECONDS if asked_after is None else asked_after

        async def look_up() -> None:
            self._owners[spec.name] = await _in_time(self._find_owners(spec), f"who owns the partitions of {spec.name}")

        for _attempt in range(_ATTEMPTS):
            known = self._owners.get(spec.name, _NOBODY)
            if known is not _NOBODY and known.asked_at >= since:
                return known
            await self._once(f"owners of {spec.name}", look_up)
        known = self._owners.get(spec.name, _NOBODY)  # nobody, if they were forgotten this very moment
        return known if known.asked_at >= since else _NOBODY

    @property
    def now(self) -> float:
        """The time, for `asked_after`."""
        return self._clock()

    def forget(self, spec: StageSpec) -> None:
        """Look the owners up again next time: a worker was not what it was taken for."""
        self._owners.pop(spec.name, None)

    async def partitions(self, spec: StageSpec) -> int:
        """Partition count of the stage, the same for all its sources and changelogs.

        Remembered for good: a topic that a stage with tables reads never changes its count (design, 4).

        Raises:
            Refusal: 503, Kafka did not say in time.
        """

        async def look_up() -> None:
            count = self._count_partitions(spec.lead)
            self._counts[spec.lead] = await _in_time(count, f"how many partitions {spec.lead} has")

        if spec.lead not in self._counts:
            await self._once(f"partitions of {spec.lead}", look_up)
        return self._counts[spec.lead]

    async def _once(self, what: str, look_up: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run `look_up`, or wait for the one that runs; a caller who leaves does not end it for the others."""
        running = self._asking.get(what)
        if running is None:
            running = self._asking[what] = asyncio.ensure_future(look_up())

            def done(ended: "asyncio.Future[None]") -> None:
                del self._asking[what]
                if not ended.cancelled():
                    ended.exception()  # seen, should all who asked have left

            running.add_done_callback(done)
        await asyncio.shield(running)


async def _in_time(answer: Awaitable[T], what: str) -> T:
    try:
        return await asyncio.wait_for(answer, HOP_SECONDS)
    except (HeadraceError, OSError, TimeoutError) as error:
        raise unavailable(f"Kafka does not say {what}: {str(error) or 'no answer in time'}") from error
