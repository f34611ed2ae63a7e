"""All stages with the workers that run them, as any worker tells it: its own status and that of the others.

An overview serves people in trouble, so it shows what it can: a worker that does not answer is shown as
unreachable, a stage of which Kafka says nothing as unknown.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

from streams.engine.stage import StageSpec
from streams.engine.status import StageStatus
from streams.web.answers import OK
from streams.web.bodies import Stage, StageList, Worker
from streams.web.directory import Directory
from streams.web.hop import Asked, Hop
from streams.web.readiness import partition_body
from streams.web.refusals import Refusal
from streams.web.stages import ServedStage

# A stage is as ready as its least ready worker; a state that is not here comes last.
FROM_WORST = ("failed", "unreachable", "waiting", "stopping", "starting", "restoring", "running", "stopped")


class Overview:
    """Gathers the state of every stage of the topology.

    Args:
        stages: those that run in this process, by name.
        known: all of the topology.
        directory: who owns partitions of the others.
        hop: the way to them.
    """

    def __init__(
        self, stages: Mapping[str, ServedStage], known: Sequence[StageSpec], directory: Directory, hop: Hop
    ) -> None:
        self._stages = stages
        self._known = sorted(known, key=lambda spec: spec.name)
        self._directory = directory
        self._hop = hop

    async def stages(self, asked: Asked) -> StageList:
        """Every stage of the topology; only this worker's share when the request was forwarded."""
        workers = {spec.name: self._own(spec) for spec in self._known}
        unknown: set[str] = set()
        if not asked.forwarded:
            unknown = await self._add_others(workers, Asked("/api/stages", authorization=asked.authorization))
        return StageList(
            items=[_stage(spec, workers[spec.name], unknown=spec.name in unknown) for spec in self._known],
            next=None,
        )

    def _own(self, spec: StageSpec) -> list[Worker]:
        stage = self._stages.get(spec.name)
        return [] if stage is None else [_worker(self._hop.own_url, stage.status())]

    async def _add_others(self, workers: Mapping[str, list[Worker]], asked: Asked) -> set[str]:
        """Add the other workers' shares; returns the stages of which Kafka does not say who runs them."""
        owners = await asyncio.gather(*map(self._owners_of, self._known))
        runs: dict[str, list[str]] = {}
        for spec, urls in zip(self._known, owners, strict=True):
            for url in urls or ():
                runs.setdefault(url, []).append(spec.name)
        runs.pop(self._hop.own_url, None)
        shares = await asyncio.gather(*(self._share_of(url, names, asked) for url, names in sorted(runs.items())))
        for name, worker in (each for share in shares for each in share):
            if name in workers:
                workers[name].append(worker)
        return {spec.name for spec, urls in zip(self._known, owners, strict=True) if urls is None}

    async def _owners_of(self, spec: StageSpec) -> set[str] | None:
        try:
            return {owner.url for owner in (await self._directory.owners(spec)).by_partition.values()}
        except Refusal:
            return None

    async def _share_of(self, url: str, names: Iterable[str], asked: Asked) -> list[tuple[str, Worker]]:
        try:
            answer = await self._hop.ask(url, asked)
            if answer.status == OK:
                body = StageList.model_validate_json(answer.body)
                return [(stage.name, worker) for stage in body.items for worker in stage.workers]
            reason = f"answered with status {answer.status}"
        except (Refusal, ValidationError) as error:
            reason = str(error) if isinstance(error, Refusal) else "answered what no worker should"
        return [(name, _unreachable(url, reason)) for name in names]


def _worker(url: str, status: StageStatus) -> Worker:
    return Worker(
        url=url,
        instance=status.instance,
        state=status.state,
        reason=status.reason,
        partitions=[partition_body(each) for each in status.partitions],
        counters=dict(status.counters),
    )


def _unreachable(url: str, reason: str) -> Worker:
    return Worker(url=url, instance="", state="unreachable", reason=reason, partitions=[], counters={})


def _stage(spec: StageSpec, workers: list[Worker], *, unknown: bool) -> Stage:
    return Stage(
        name=spec.name,
        group=spec.group,
        state=_state_of(workers, unknown=unknown),
        sources=list(spec.sources),
        tables=[f"{spec.name}.{table.name}" for table in spec.tables],
        workers=workers,
    )


def _state_of(workers: Iterable[Worker], *, unknown: bool) -> str:
    states = [worker.state for worker in workers]
    if not states:
        return "unknown" if unknown else "stopped"
    rank = {state: number for number, state in enumerate(FROM_WORST)}
    return min(states, key=lambda state: rank.get(state, len(FROM_WORST)))
