"""Sets a group's offsets, partition by partition, and never against members that are there."""

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # no __all__

from streams.topology.changes import PresetOffsets
from streams.topology.connection import (
    COORDINATOR_REQUEST_S,
    PAUSE_S,
    REQUEST_S,
    SETTLED_S,
    failure,
    offset_in,
    once_settled,
    result_of,
    unsettled,
)
from streams.topology.replay import Offsets, Partition

# What a coordinator answers to someone outside while a group has members, in both protocols.
_HAS_MEMBERS = frozenset(
    {
        "UNKNOWN_MEMBER_ID",
        "NON_EMPTY_GROUP",
        "ILLEGAL_GENERATION",
        "REBALANCE_IN_PROGRESS",
        "STALE_MEMBER_EPOCH",
    }
)


def preset_offsets(admin: AdminClient, change: PresetOffsets) -> str:
    """Commit the first or next offset of each partition; empty, or why the group was skipped.

    Raises:
        HeadraceError: Kafka refuses a partition, or does not answer.
    """
    spec = {"start": OffsetSpec.earliest, "end": OffsetSpec.latest}[change.start]()  # type: ignore[no-untyped-call]  # no types
    wanted = [Partition(change.topic, number) for number in change.partitions]
    refused = set_offsets(admin, change.group, log_offsets(admin, wanted, spec))
    if any(map(tells_of_members, refused.values())):
        return (
            f"skipped group {change.group}: it has members, so the offsets of {change.topic} are theirs; "
            "stop them and apply again if one is missing"
        )
    for error in refused.values():
        raise failure(KafkaException(error), change.told(change.action))
    return ""


def tells_of_members(error: KafkaError) -> bool:
    """Whether a group's offsets were refused because it has members."""
    return error.name() in _HAS_MEMBERS


def set_offsets(admin: AdminClient, group: str, offsets: Offsets) -> dict[Partition, KafkaError]:
    """Commit offsets of a group without members; why not, for each partition that Kafka refuses.

    Waits while the coordinator is moving. The error of a partition stands in the result, which does not raise it.

    Raises:
        NotReachable: no answer; nobody knows what was set.
    """
    deadline = time.monotonic() + SETTLED_S
    refused: dict[Partition, KafkaError] = {}
    left = dict(offsets)
    while left:
        answers = _alter(admin, group, left)
        last = time.monotonic() > deadline
        refused |= {each: error for each, error in answers.items() if last or not unsettled(error)}
        left = {each: left[each] for each in answers if each not in refused}
        if left:
            time.sleep(PAUSE_S)
    return refused


def _alter(admin: AdminClient, group: str, offsets: Offsets) -> dict[Partition, KafkaError]:
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(*each, offset) for each, offset in offsets.items()])
    future = admin.alter_consumer_group_offsets([request], request_timeout=COORDINATOR_REQUEST_S)[group]
    try:
        result = result_of(future)
    except KafkaException as error:  # of the group as a whole
        return dict.fromkeys(offsets, error.args[0])
    answers = {Partition(each.topic, each.partition): each.error for each in result.topic_partitions}
    return {each: error for each, error in answers.items() if error is not None}


def log_offsets(
    admin: AdminClient, partitions: Iterable[Partition], spec: OffsetSpec, *, may_lack: bool = False
) -> dict[Partition, int]:
    """Offset of each partition's log: its start, its end, or that of a time.

    While a leader moves, a negative offset may be told without an error: it is asked for again, unless it `may_lack`,
    as that of a time does where no record is so late.

    Raises:
        HeadraceError: Kafka refuses a partition, or does not answer.
    """
    wanted: Mapping[TopicPartition, OffsetSpec] = {TopicPartition(*each): spec for each in partitions}

    def ask() -> dict[Partition, int]:
        futures = admin.list_offsets(dict(wanted), request_timeout=REQUEST_S)
        found = {Partition(each.topic, each.partition): result_of(future) for each, future in futures.items()}
        return {each: answer.offset if may_lack else offset_in(answer) for each, answer in found.items()}

    topics = ", ".join(sorted({each.topic for each in wanted}))
    return once_settled(ask, f"reading where {topics} starts and ends")
