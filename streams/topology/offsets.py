"""Sets a group's offsets where it has none, partition by partition, and never against members that are there."""

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # no __all__

from streams.topology.changes import PresetOffsets
from streams.topology.connection import REQUEST_S, once_settled, result_of

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
    partitions = _targets(admin, change)
    request = [ConsumerGroupTopicPartitions(change.group, partitions)]

    def commit() -> str:
        future = admin.alter_consumer_group_offsets(request, request_timeout=REQUEST_S)[change.group]
        errors = _errors(future)
        if any(error.name() in _HAS_MEMBERS for error in errors):
            return (
                f"skipped group {change.group}: it has members, so the offsets of {change.topic} are theirs; "
                "stop them and apply again if one is missing"
            )
        if errors:
            raise KafkaException(errors[0])
        return ""

    return once_settled(commit, change.told(change.action))


def _errors(future: object) -> list[KafkaError]:
    """Errors of the group as a whole, and of single partitions, which the future does not raise."""
    try:
        result = result_of(future)
    except KafkaException as error:
        return [error.args[0]]
    return [partition.error for partition in result.topic_partitions if partition.error is not None]


def _targets(admin: AdminClient, change: PresetOffsets) -> list[TopicPartition]:
    spec = {"start": OffsetSpec.earliest, "end": OffsetSpec.latest}[change.start]()  # type: ignore[no-untyped-call]  # no types
    wanted = {TopicPartition(change.topic, partition): spec for partition in change.partitions}

    def ask() -> list[TopicPartition]:
        futures = admin.list_offsets(wanted, request_timeout=REQUEST_S)
        offsets = {each.partition: result_of(future).offset for each, future in futures.items()}
        if min(offsets.values(), default=0) < 0:  # so it is told, without an error, while a leader moves
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return [TopicPartition(change.topic, partition, offset) for partition, offset in offsets.items()]

    return once_settled(ask, f"reading where {change.topic} starts and ends")
