"""How far a group is through a topic, from the broker's own books: committed offsets and end offsets."""

from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not in its __all__

from streams.config import Settings
from streams.engine.group_offsets import committed_offsets
from streams.errors import HeadraceError
from streams.topology.connection import REQUEST_S, connect, failure, list_topics, offset_in, once_settled, result_of


@dataclass(frozen=True, slots=True)
class Progress:
    """Records handled and records there, over all partitions."""

    committed: int
    end: int

    @property
    def lag(self) -> int:
        """Records yet to be handled."""
        return self.end - self.committed


def records_in(settings: Settings, topic: str) -> int:
    """How many records `topic` holds: 0 where there is no such topic.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    admin = connect(settings.kafka_config())
    return sum(_ends(admin, _partitions(admin, topic)))


def _partitions(admin: AdminClient, topic: str) -> list[TopicPartition]:
    known = list_topics(admin).topics
    return [TopicPartition(topic, partition) for partition in known[topic].partitions] if topic in known else []


def _ends(admin: AdminClient, partitions: list[TopicPartition]) -> list[int]:
    if not partitions:
        return []
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library has no types here
    wanted = dict.fromkeys(partitions, latest)

    def ask() -> list[int]:
        futures = admin.list_offsets(wanted, request_timeout=REQUEST_S)
        return [offset_in(result_of(future)) for future in futures.values()]

    return once_settled(ask, f"reading where {partitions[0].topic} ends")


class GroupProgress:
    """Asks for the progress of `group` through `topic`.

    Raises:
        HeadraceError: there is no such topic, or Kafka refused or did not answer.
    """

    def __init__(self, settings: Settings, group: str, topic: str) -> None:
        self._kafka_config = settings.kafka_config()
        self._admin = connect(self._kafka_config)
        self._group = group
        self._partitions = _partitions(self._admin, topic)
        if not self._partitions:
            raise HeadraceError(f"the demo needs topic {topic}, which this topology does not declare")

    def now(self) -> Progress:
        """Progress at this moment.

        Raises:
            HeadraceError: Kafka refused or did not answer.
        """
        return Progress(self._committed(), sum(_ends(self._admin, self._partitions)))

    def _committed(self) -> int:
        asked = [(partition.topic, partition.partition) for partition in self._partitions]
        try:
            offsets = committed_offsets(self._kafka_config, self._group, asked)
        except KafkaException as error:
            raise failure(error, f"reading offsets of group {self._group}") from None
        return sum(max(offset, 0) for offset in offsets.values())
