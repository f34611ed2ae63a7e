"""How far a group is through a topic, from the broker's own books: committed offsets and end offsets."""

from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not in its __all__

from streams.config import Settings
from streams.engine.group_offsets import committed_offsets
from streams.errors import HeadraceError, NotReachable

_REQUEST_S = 10.0


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
        NotReachable: the broker did not answer.
    """
    admin = AdminClient({**settings.kafka_config(), "log_level": 3})
    try:
        return sum(_ends(admin, _partitions(admin, topic)))
    except KafkaException as error:
        raise _unanswered(error) from None


def _partitions(admin: AdminClient, topic: str) -> list[TopicPartition]:
    known = admin.list_topics(timeout=_REQUEST_S).topics
    return [TopicPartition(topic, partition) for partition in known[topic].partitions] if topic in known else []


def _ends(admin: AdminClient, partitions: list[TopicPartition]) -> list[int]:
    wanted = {partition: OffsetSpec.latest() for partition in partitions}  # type: ignore[no-untyped-call]
    futures = admin.list_offsets(wanted, request_timeout=_REQUEST_S) if wanted else {}
    return [future.result().offset for future in futures.values()]


class GroupProgress:
    """Asks for the progress of `group` through `topic`.

    Raises:
        HeadraceError: there is no such topic.
        NotReachable: the broker did not answer.
    """

    def __init__(self, settings: Settings, group: str, topic: str) -> None:
        self._admin = AdminClient({**settings.kafka_config(), "log_level": 3})
        self._group = group
        self._kafka_config = settings.kafka_config()
        try:
            self._partitions = _partitions(self._admin, topic)
        except KafkaException as error:
            raise _unanswered(error) from None
        if not self._partitions:
            raise HeadraceError(f"the demo needs topic {topic}, which this topology does not declare")

    def now(self) -> Progress:
        """Progress at this moment."""
        try:
            return Progress(self._committed(), sum(_ends(self._admin, self._partitions)))
        except KafkaException as error:
            raise _unanswered(error) from None

    def _committed(self) -> int:
        asked = [(partition.topic, partition.partition) for partition in self._partitions]
        return sum(max(offset, 0) for offset in committed_offsets(self._kafka_config, self._group, asked).values())


def _unanswered(error: KafkaException) -> NotReachable:
    return NotReachable(f"Kafka did not answer: {error.args[0].str()}")
