"""Kafka's console tools run from a test as from a distribution."""

from collections.abc import Callable

from tests.clients.programs import KafkaTools
from tests.conftest import Kafka


def test_a_topic_is_described_filled_and_read(
    kafka: Kafka, kafka_tools: KafkaTools, make_topic: Callable[..., str]
) -> None:
    topic, at = make_topic("orders", partitions=3), ("--bootstrap-server", kafka.bootstrap_servers)
    assert "PartitionCount: 3" in kafka_tools.done("kafka-topics.sh", *at, "--describe", "--topic", topic)
    kafka_tools.done("kafka-console-producer.sh", *at, "--topic", topic, stdin="one\ntwo\n")
    given = (*at, "--topic", topic, "--from-beginning", "--max-messages", "2")
    assert sorted(kafka_tools.done("kafka-console-consumer.sh", *given).splitlines()) == ["one", "two"]


def test_what_a_tool_refuses_is_for_the_caller_to_judge(kafka: Kafka, kafka_tools: KafkaTools) -> None:
    answer = kafka_tools(
        "kafka-topics.sh", "--bootstrap-server", kafka.bootstrap_servers, "--describe", "--topic", "none"
    )
    assert answer.returncode == 1
    assert "does not exist" in answer.stdout + answer.stderr
