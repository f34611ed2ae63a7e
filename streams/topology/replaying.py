"""Looks at a stage's logs and offsets and carries a replay out; what to do is decided in replay.py."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # no __all__

from streams.errors import HeadraceError, NotReachable
from streams.topology.cluster import CommittedOffsets
from streams.topology.connection import line_of, list_topics, once_settled
from streams.topology.offsets import log_offsets, set_offsets, tells_of_members
from streams.topology.replay import Log, Offsets, Partition, ReplayPlan, Scenario, ToTime, listed, plan_replay


def partition_counts(admin: AdminClient, topics: Sequence[str]) -> dict[str, int]:
    """Partitions of those topics that the cluster has.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    known = list_topics(admin).topics
    return {topic: len(known[topic].partitions) for topic in topics if topic in known}


def look(
    admin: AdminClient, group: str, scenario: Scenario, partitions: Sequence[Partition], committed: CommittedOffsets
) -> ReplayPlan:
    """The plan of a replay, from where the logs and the group are now.

    Args:
        admin: asked for the logs.
        group: the stage's.
        scenario: what is wanted.
        partitions: which are to move.
        committed: reads a group's offsets; the engine's, since only it may have a consumer.

    Raises:
        HeadraceError: Kafka refused or did not answer, or the plan cannot be made.
    """
    asked = [(each.topic, each.number) for each in partitions]
    # An offset that a transaction holds open is waited for: a killed worker's ends within 20 s.
    found = once_settled(lambda: committed(group, asked), f"reading offsets of group {group}")
    current = {Partition(*each): offset for each, offset in found.items() if offset >= 0}
    return plan_replay(scenario, _logs(admin, scenario, partitions), current)


def _logs(admin: AdminClient, scenario: Scenario, partitions: Sequence[Partition]) -> Mapping[Partition, Log]:
    starts = log_offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # no types
    timed = _at_time(admin, scenario, partitions)
    ends = log_offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # no types
    # "No record is so late" and "the leader is moving" are one answer: it counts when the leader has answered since.
    unsure = [each for each in partitions if each not in timed and starts[each] < ends[each]]
    timed |= _at_time(admin, scenario, unsure)
    return {each: Log(starts[each], ends[each], timed.get(each)) for each in partitions}


def _at_time(admin: AdminClient, scenario: Scenario, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """Where there is a record of the scenario's time or later, the first one's offset."""
    if not isinstance(scenario, ToTime) or not partitions:
        return {}
    # Before 1970 there are no records; to librdkafka negative times are other questions.
    spec = OffsetSpec.for_timestamp(max(0, scenario.timestamp_ms))
    found = log_offsets(admin, partitions, spec, may_lack=True)
    return {each: offset for each, offset in found.items() if offset >= 0}


def carry_out(admin: AdminClient, group: str, targets: Offsets, undo: str) -> None:
    """Set the offsets of a group without members.

    Args:
        admin: of the cluster.
        group: the stage's.
        targets: offset of each partition.
        undo: the command that sets the offsets before, told where some may have been set.

    Raises:
        OffsetsStay: nothing was set, since a member has joined or Kafka refused it.
        HeadraceError: only some partitions were set; says which, and how to undo that.
        NotReachable: no answer; nobody knows what was set.
    """
    try:
        refused = set_offsets(admin, group, targets)
    except NotReachable as error:
        raise NotReachable(
            f"setting offsets of group {group}: {error}; whether they were set is not known, look with --to-current; "
            f"undo: {undo}"
        ) from None
    if refused:
        raise _refusal(group, targets, refused, undo)


class OffsetsStay(HeadraceError):
    """No offset was set."""


def _refusal(group: str, targets: Offsets, refused: Mapping[Partition, KafkaError], undo: str) -> HeadraceError:
    done = [each for each in targets if each not in refused]
    first = next(iter(refused.values()))
    why = f"{first.name()}: {line_of(first)}"
    if tells_of_members(first):
        why = f"a worker has joined meanwhile ({first.name()}); stop it and try again"
    if not done:
        return OffsetsStay(f"group {group}: no offset was set: {why}")
    return HeadraceError(
        f"group {group}: only {listed(done)} were set, not {listed(list(refused))}: {why}; undo: {undo}"
    )
