"""Offsets that a group has committed, asked through a consumer of that group which never joins it.

Not through AdminClient.list_consumer_group_offsets: an answer that the coordinator is loading or has moved makes
librdkafka 2.16 follow a null pointer there, and the process is gone (docs/decisions/0009).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.engine.clients import acquainted
from streams.engine.stage import TP


class GroupOffsets:
    """Reads offsets of one group; none that a transaction still holds open is taken for final.

    Args:
        kafka_config: connection properties.
        group: the group.
    """

    def __init__(self, kafka_config: Mapping[str, Any], group: str) -> None:
        self._consumer = Consumer(
            {
                **kafka_config,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",  # waits for open transactions (KIP-447, require_stable)
                "log_level": 0,
                "error_cb": lambda _error: None,  # what matters is raised
                "reconnect.backoff.max.ms": 1000,
            }
        )

    def committed(self, partitions: Iterable[TP], timeout_s: float) -> dict[TP, int]:
        """Committed offset of each partition; negative where there is none.

        Raises:
            KafkaException: the coordinator did not answer in time, or an offset is held open by a transaction.
        """
        asked = [TopicPartition(*tp) for tp in partitions]
        offsets = {}
        for partition in acquainted(self._consumer).committed(asked, timeout=timeout_s):
            if partition.error is not None:
                raise KafkaException(partition.error)
            offsets[TP(partition.topic, partition.partition)] = partition.offset
        return offsets

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def committed_offsets(
    kafka_config: Mapping[str, Any], group: str, partitions: Iterable[tuple[str, int]], timeout_s: float = 10.0
) -> dict[tuple[str, int], int]:
    """One question about a group; see `GroupOffsets.committed`."""
    offsets = GroupOffsets(kafka_config, group)
    try:
        found = offsets.committed([TP(*partition) for partition in partitions], timeout_s)
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}
    finally:
        offsets.close()
