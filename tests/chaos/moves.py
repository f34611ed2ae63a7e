"""Which partitions changed hands, as the workers' own log lines tell it. Pure, but for reading the logs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Move:
    """A partition of a stage that went from one worker to another."""

    at: str
    stage: str
    partition: int
    giver: str
    taker: str


@dataclass(frozen=True, slots=True, order=True)
class _Told:
    at: str
    worker: str
    event: str
    stage: str
    partitions: tuple[int, ...]


def _told(logs: Iterable[Path]) -> list[_Told]:
    """The `assigned` and `revoked` lines of all workers in the order of time."""
    return sorted(line for log in logs for line in _lines(log))


def _lines(log: Path) -> Iterator[_Told]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and ('"assigned"' in line or '"revoked"' in line):
            said = json.loads(line)
            yield _Told(said["timestamp"], log.stem, said["event"], said["stage"], tuple(said["partitions"]))


def moves(logs: Iterable[Path]) -> list[Move]:
    """Every change of owner. A worker that gets again what it had last, with nobody in between, moved nothing."""
    owners: dict[tuple[str, int], str] = {}
    found = []
    for said in _told(logs):
        for partition in said.partitions if said.event == "assigned" else ():
            before = owners.get((said.stage, partition), said.worker)
            owners[said.stage, partition] = said.worker
            if before != said.worker:
                found.append(Move(said.at, said.stage, partition, before, said.worker))
    return found


def shares(logs: Iterable[Path]) -> dict[str, dict[str, set[int]]]:
    """Stage -> worker -> the partitions that it has now."""
    owned: dict[str, dict[str, set[int]]] = {}
    for said in _told(logs):
        share = owned.setdefault(said.stage, {}).setdefault(said.worker, set())
        share.update(said.partitions) if said.event == "assigned" else share.difference_update(said.partitions)
    return {stage: {worker: share for worker, share in by.items() if share} for stage, by in owned.items()}
