"""The registry in Kafka: the topic `headrace.schemas`, one partition, compacted, appended by one writer at a time.

A writer takes the transactional id (which fences and aborts any other), reads to the end, decides, appends, commits.
So what it decided on is what precedes its record, and no id is given twice. A fenced writer starts again.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from streams.config import Settings
from streams.engine.clients import acquainted
from streams.engine.sole_writer import CALL_S, Fenced, insist, silent, sole_producer
from streams.errors import ConfigurationRefused, HeadraceError, NotReachable
from streams.messages.catalogue import Catalogue, record_of
from streams.messages.contracts import Contract
from streams.messages.registry import Registered
from streams.topology.connection import connect, failure, list_topics, offset_in
from streams.topology.names import SCHEMAS_TOPIC, SCHEMAS_TRANSACTIONAL_ID

_PARTITION = TopicPartition(SCHEMAS_TOPIC, 0)
_WRITING = f"writing {SCHEMAS_TOPIC}"
_MOST_REPLICAS = 3
_WRITE_S = 60.0  # bound of one registration, fencing and all
_READ_S = 30.0
_PAUSE_S = 0.05  # between two looks at a topic that is being made
_LEADERLESS = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._NOENT,  # noqa: SLF001 librdkafka's name, where metadata names no leader
    }
)
# The leader has changed; this client goes on asking as of its old term.
_OUTDATED = frozenset({KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH})
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 5.0  # writers that fence each other must not stay in step


class CatalogueRegistry:
    """The catalogue topic as a registry; for one thread. It follows the topic, so that reading again is cheap.

    Raises:
        NotReachable: no broker answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._config = settings.kafka_config()
        self._admin: AdminClient = connect(self._config)
        self._reader: _Reader | None = None  # opened once the topic exists

    def register(self, contract: Contract) -> Registered:
        """Register a contract; see `Registry`."""

        def decide(catalogue: Catalogue) -> list[Registered]:
            return [] if catalogue.find(contract) else [catalogue.next_version(contract)]

        registered = self._write(decide, f"registering {contract.name}").find(contract)
        if registered is None:
            raise HeadraceError(
                f"{SCHEMAS_TOPIC} took {contract.name} but does not hold it; look who else writes to it"
            )
        return registered

    def record(self, versions: Iterable[Registered]) -> None:
        """Record the ids of versions that an HTTP registry gave, as far as they are not recorded yet.

        Raises:
            ConfigurationRefused: an id means something else on this cluster.
            NotReachable: Kafka did not answer.
        """
        given = list(versions)
        self._write(lambda catalogue: catalogue.lacking(given), "recording schema ids")

    def _write(self, decide: Callable[[Catalogue], list[Registered]], what: str) -> Catalogue:
        """Append what `decide` wants until it wants nothing more; a fenced writer starts again."""
        if not self._topic_exists():
            self._make_topic()
        deadline = time.monotonic() + _WRITE_S
        backoff_s = _FIRST_BACKOFF_S
        while True:
            catalogue = self._read(IsolationLevel.READ_COMMITTED)
            if not decide(catalogue):
                return catalogue
            try:
                return self._append(decide, deadline)
            except Fenced as fenced:
                if time.monotonic() > deadline:
                    raise NotReachable(
                        f"{what}: other writers kept the catalogue for {_WRITE_S:g} s ({fenced})"
                    ) from None
            time.sleep(random.uniform(0, backoff_s))  # noqa: S311 spreads writers, hides nothing
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)

    def all(self) -> list[Registered]:
        """Every version; see `Registry`."""
        return self._read(IsolationLevel.READ_COMMITTED).all() if self._topic_exists() else []

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None; see `Registry`."""
        return self._read(IsolationLevel.READ_COMMITTED).by_id(schema_id) if self._topic_exists() else None

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID, or None; see `Registry`."""
        return self._read(IsolationLevel.READ_COMMITTED).by_guid(guid) if self._topic_exists() else None

    def close(self) -> None:
        """Stop following the topic."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _append(self, decide: Callable[[Catalogue], list[Registered]], deadline: float) -> Catalogue:
        producer = sole_producer(self._config, SCHEMAS_TRANSACTIONAL_ID, deadline, _WRITING)
        entries = decide(self._read(IsolationLevel.READ_UNCOMMITTED))
        if entries:
            insist(producer.begin_transaction, deadline, _WRITING)
            for entry in entries:
                key, value = record_of(entry)
                producer.produce(SCHEMAS_TOPIC, value, key, _PARTITION.partition)
            insist(lambda: producer.commit_transaction(CALL_S), deadline, _WRITING)
        # A commit is answered before readers see it; who registers and then lists must find what he registered.
        return self._read(IsolationLevel.READ_UNCOMMITTED)

    def _read(self, until: IsolationLevel) -> Catalogue:
        """What is committed up to the end as `until` counts it.

        A writer reads to the READ_UNCOMMITTED end: nothing that precedes its own record may be missed.
        """
        if self._reader is None:
            self._reader = _Reader(self._config)
        try:
            return self._reader.read_to(self._end(until))
        except KafkaException as error:
            raise failure(error, f"reading {SCHEMAS_TOPIC}") from None

    def _end(self, until: IsolationLevel) -> int:
        """End of the topic; asked again while its leader moves or a new topic has none yet."""
        deadline = time.monotonic() + _READ_S
        while True:
            asked = {_PARTITION: OffsetSpec.latest()}  # type: ignore[no-untyped-call]
            try:
                return offset_in(self._admin.list_offsets(asked, isolation_level=until)[_PARTITION].result(_READ_S))
            except KafkaException as error:
                if error.args[0].code() not in _LEADERLESS | _OUTDATED or time.monotonic() > deadline:
                    raise
                if error.args[0].code() in _OUTDATED:
                    self._admin = connect(self._config)
            time.sleep(_PAUSE_S)

    def _topic_exists(self) -> bool:
        if self._reader is not None:
            return True
        topic = list_topics(self._admin).topics.get(SCHEMAS_TOPIC)
        if topic is not None and len(topic.partitions) > 1:
            raise ConfigurationRefused(
                f"{SCHEMAS_TOPIC} has {len(topic.partitions)} partitions; the order of registrations needs it to have 1"
            )
        return topic is not None

    def _make_topic(self) -> None:
        replication = min(_MOST_REPLICAS, len(list_topics(self._admin).brokers))
        config = {"cleanup.policy": "compact", "min.insync.replicas": str(max(1, replication - 1))}
        new = NewTopic(SCHEMAS_TOPIC, num_partitions=1, replication_factor=replication, config=config)
        try:
            self._admin.create_topics([new])[SCHEMAS_TOPIC].result(timeout=_READ_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise failure(error, f"creating {SCHEMAS_TOPIC}") from None
        deadline = time.monotonic() + _READ_S
        while not self._topic_exists():  # brokers hear of a new topic a moment later
            if time.monotonic() > deadline:
                raise NotReachable(f"{SCHEMAS_TOPIC} was created but did not appear in {_READ_S:g} s")
            time.sleep(_PAUSE_S)


class _Reader:
    """Follows the topic with one consumer; `read_to` takes up what is new."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._catalogue = Catalogue()
        self._position = 0  # of the last end that the consumer reported
        consumer = Consumer(
            {
                **config,
                "group.id": SCHEMAS_TRANSACTIONAL_ID,  # required by the client; never joined, never committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "logger": silent,
            }
        )
        self._consumer = acquainted(consumer)
        self._consumer.assign([TopicPartition(SCHEMAS_TOPIC, 0, OFFSET_BEGINNING)])

    def read_to(self, end: int) -> Catalogue:
        """Everything committed before offset `end`.

        Raises:
            NotReachable: it takes too long.
            KafkaException: the consumer failed.
        """
        deadline = time.monotonic() + _READ_S
        while self._position < end:
            if time.monotonic() > deadline:
                raise NotReachable(f"{SCHEMAS_TOPIC} could not be read to its end in {_READ_S:g} s")
            message = self._consumer.poll(1.0)
            if message is not None:
                self._take(message)
        return self._catalogue

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            self._catalogue.take(message.key(), message.value())
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 the library's name
            self._position = message.offset() or 0
        elif not error.retriable():
            raise KafkaException(error)

    def close(self) -> None:
        self._consumer.close()
