"""What an answer of Kafka means where it is none."""

from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.errors import HeadraceError, NotReachable
from streams.topology.connection import failure, offset_in


@dataclass(frozen=True)
class Found:
    """As confluent_kafka's ListOffsetsResultInfo."""

    offset: int


def test_an_end_that_no_leader_told_is_no_end() -> None:
    with pytest.raises(KafkaException, match="LEADER_NOT_AVAILABLE"):
        offset_in(Found(-1001))  # what librdkafka gives when the leader did not answer in time


def test_the_end_of_an_empty_partition_is_its_end() -> None:
    assert offset_in(Found(0)) == 0


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TIMED_OUT,
        KafkaError._NOENT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_ENOUGH_REPLICAS,
    ],
)
def test_too_few_brokers_are_as_good_as_none(code: int) -> None:
    assert isinstance(failure(KafkaException(KafkaError(code)), "asking"), NotReachable)


def test_a_refusal_is_not_waited_for() -> None:
    refused = failure(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), "asking")
    assert type(refused) is HeadraceError
