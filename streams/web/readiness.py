"""Says whether a worker is ready, and what it waits for. Pure."""

from collections.abc import Iterable, Sequence

from streams.engine.status import PartitionStatus, StageStatus
from streams.web.bodies import Partition, Readiness, StageReadiness

SERVING = frozenset({"running", "paused"})  # a paused partition has its tables: reads go on


def readiness_of(statuses: Sequence[StageStatus]) -> Readiness:
    """Ready when there is a stage, and every stage runs with every partition restored."""
    waiting = [line for status in statuses for line in _waits_of(status)]
    if not statuses:
        waiting.append("no stage runs here")
    return Readiness(
        ready=not waiting,
        waiting_for=waiting,
        paused=[
            f"{status.name}: {each.topic}/{each.partition}"
            for status in statuses
            for each in status.partitions
            if each.state == "paused"
        ],
        stages=[
            StageReadiness(
                name=status.name,
                state=status.state,
                reason=status.reason,
                partitions=[partition_body(each) for each in status.partitions],
            )
            for status in statuses
        ],
    )


def partition_body(status: PartitionStatus) -> Partition:
    """Body of one partition's status."""
    return Partition(
        topic=status.topic,
        partition=status.partition,
        state=status.state,
        lag=status.lag,
        restored=status.restored,
        restore_target=status.restore_target,
    )


def _waits_of(status: StageStatus) -> Iterable[str]:
    if status.state != "running":
        yield f"{status.name}: {status.state}" + (f": {status.reason}" if status.reason else "")
    for each in status.partitions:
        if each.state not in SERVING:
            progress = f"{each.restored} of {each.restore_target} changelog records"
            yield f"{status.name}: {each.state} {each.topic}/{each.partition}, {progress}"
