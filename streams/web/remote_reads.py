"""Reads partitions of other workers, one hop away."""

from collections.abc import Callable, Collection
from typing import TypeVar

from streams.web.directory import Directory
from streams.web.hop import Answer, Asked, Hop
from streams.web.refusals import Refusal, unavailable
from streams.web.stages import TableOfStage

T = TypeVar("T")
RemoteRead = Callable[[Answer], T]


class RemoteReads:
    """Asks the owners.

    Args:
        directory: who they were taken for.
        hop: the way to them.
    """

    def __init__(self, directory: Directory, hop: Hop) -> None:
        self._directory = directory
        self._hop = hop

    async def read(
        self, table: TableOfStage, worker: str, partitions: Collection[int], asked: Asked, there: RemoteRead[T]
    ) -> T:
        """What `there` reads in the answer of `worker`, which answers for all `partitions` or refuses.

        Raises:
            Refusal: 503, it did not answer or cannot now; or what it refused for good.
        """
        try:
            return there(await self._hop.ask(worker, asked, partitions))
        except Refusal:
            self._directory.forget(table.spec)
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise unavailable(f"worker {worker} answered what no worker should") from error
