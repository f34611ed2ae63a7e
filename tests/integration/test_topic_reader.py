"""Reading whole topics: from the start to the end, what is committed and what is not, and what comes."""

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import Message, Producer  # noqa: TID251 writes the transactions that are to be seen

from streams.config import Settings
from streams.engine.raw_producer import RawProducer
from streams.engine.topic_reader import Isolation, follow_topics, read_topics
from streams.errors import HeadraceError, NotReachable

MakeTopic = Callable[..., str]


def produce(settings: Settings, topic: str, count: int) -> None:
    with RawProducer(settings) as producer:
        for number in range(count):
            producer.send(topic, b"%d" % number, b"k%d" % (number % 7), timestamp_ms=1_000, headers=[("n", b"\xff")])


def values(settings: Settings, topics: list[str], isolation: Isolation = "read_committed") -> list[bytes]:
    found: list[bytes] = []

    def add(records: list[Message]) -> None:
        found.extend(bytes(record.value() or b"") for record in records)

    assert read_topics(settings, topics, add, isolation) == len(found)
    return found


def test_all_of_several_topics_is_read_once(settings: Settings, make_topic: MakeTopic) -> None:
    topics = [make_topic("one", partitions=3), make_topic("two", partitions=1)]
    for topic in topics:
        produce(settings, topic, 5_000)
    assert sorted(values(settings, topics)) == sorted([b"%d" % number for number in range(5_000)] * 2)


def test_an_empty_topic_is_read_to_its_end(settings: Settings, make_topic: MakeTopic) -> None:
    assert values(settings, [make_topic("empty", partitions=4)]) == []


def test_an_aborted_transaction_is_seen_only_uncommitted(
    settings: Settings, make_topic: MakeTopic, unique_name: Callable[[str], str]
) -> None:
    topic = make_topic("aborted", partitions=1)
    conf: dict[str, str | int | float | bool] = {
        **settings.kafka_config(),
        "transactional.id": unique_name("writer"),
    }
    producer = Producer(conf)
    producer.init_transactions(10)
    for value, end in ((b"kept", producer.commit_transaction), (b"undone", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(10)
        end(10)
    assert values(settings, [topic]) == [b"kept"]
    assert values(settings, [topic], "read_uncommitted") == [b"kept", b"undone"]


def test_a_topic_that_does_not_exist_is_named(settings: Settings, unique_name: Callable[[str], str]) -> None:
    missing = unique_name("nowhere")
    with pytest.raises(HeadraceError, match=missing):
        read_topics(settings, [missing], lambda _: None)


def test_a_broker_that_does_not_answer_is_an_error_not_a_wait(
    settings_for: Callable[..., Settings], free_port: Callable[[], int]
) -> None:
    nobody = settings_for(f"127.0.0.1:{free_port()}")
    with pytest.raises(NotReachable):
        read_topics(nobody, ["any"], lambda _: None)


def test_a_follower_sees_what_comes_after_it_was_ready_and_nothing_older(
    settings: Settings, make_topic: MakeTopic
) -> None:
    topic = make_topic("followed", partitions=2)
    produce(settings, topic, 10)
    ready, seen = threading.Event(), list[object]()
    follower = threading.Thread(
        target=follow_topics,
        args=(settings, [topic], lambda record: seen.append(record.value())),
        kwargs={"ready": ready.set, "finished": lambda: len(seen) >= 20, "timeout_s": 20.0},
    )
    follower.start()
    assert ready.wait(20)
    produce(settings, topic, 20)
    follower.join(30)
    assert sorted(seen, key=str) == sorted((b"%d" % number for number in range(20)), key=str)
