"""Where the partitions of a stage are: served by this worker, or by which other one."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from streams.engine.stage import StageSpec
from streams.errors import HeadraceError
from streams.web.directory import Directory
from streams.web.hop import Asked
from streams.web.refusals import unavailable
from streams.web.stages import Reads, ServedStage, TableOfStage


@dataclass(frozen=True, slots=True)
class Places:
    """Tells who has what.

    Args:
        stages: those that run in this process, by name.
        directory: who owns the other partitions.
        own_url: this worker's advertised address.
    """

    stages: Mapping[str, ServedStage]
    directory: Directory
    own_url: str

    def reads(self, spec: StageSpec) -> Reads | None:
        """This worker's share of a stage, where it has one."""
        stage = self.stages.get(spec.name)
        return None if stage is None else stage.reads()

    def here(self, spec: StageSpec) -> Mapping[int, int]:
        """Partitions that this worker believes to serve, with their tenures."""
        reads = self.reads(spec)
        try:
            return {} if reads is None else reads.tenures()
        except HeadraceError:  # not started yet: nothing is here
            return {}

    async def elsewhere(
        self, table: TableOfStage, missing: Collection[int], asked: Asked
    ) -> Mapping[str, Sequence[int]]:
        """Partitions that are not here, by the worker (its URL) that owns them.

        Raises:
            Refusal: 503, nobody serves one of them, or the request was forwarded already.
        """
        by_worker: dict[str, list[int]] = defaultdict(list)
        if not missing:
            return by_worker
        if asked.forwarded:  # a second hop could go round in circles
            raise unavailable(f"worker {self.own_url} does not serve {named(missing, table)}")
        owners = (await self.directory.owners(table.spec)).by_partition
        for partition in sorted(missing):
            by_worker[owners[partition].url if partition in owners else ""].append(partition)
        if "" in by_worker:
            raise unavailable(f"no worker owns {named(by_worker[''], table)}")
        if self.own_url in by_worker:
            raise unavailable(f"{named(by_worker[self.own_url], table)}: worker {self.own_url} does not serve it yet")
        return by_worker


def named(partitions: Iterable[int], table: TableOfStage) -> str:
    """Partitions of a table, for a message."""
    return f"{table.name}, partition {', '.join(map(str, sorted(partitions)))}"
