"""Data keys as a worker has them: the topic `headrace.keys`, read whole and followed, and new keys appended to it.

A thread follows the topic, so a key that another worker made, or that was shredded, is known a moment later. A key is
on the topic, acknowledged, before anything is encrypted with it: a message whose key is nowhere is lost.
"""

import threading
import time
from collections.abc import Mapping

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.config import Settings
from streams.engine.sole_writer import silent
from streams.errors import ConfigurationRefused, HeadraceError, NotReachable, TransientError
from streams.security.data_keys import Ciphers, WrappedKeys, new_key
from streams.security.key_ring import KeyRing
from streams.topology.connection import connect, failure, list_topics
from streams.topology.names import KEYS_TOPIC

_PARTITION = TopicPartition(KEYS_TOPIC, 0)
_OPEN_S = 120.0  # reading the whole topic; a million keys take about 10 s
_LOOK_S = 3.0  # of the 8 s that an agent has for a batch
_APPEND_MS = 5_000
_POLL_S = 0.5
_UNKNOWN_S = 1.0  # how long a kid that was looked for in vain is not looked for again
_REMEMBERED = 10_000

log = structlog.get_logger(__name__)


class KeyTopic:
    """The data keys on the topic; see `security.fields.Keys`. Opening it reads the topic to its end.

    Args:
        settings: where Kafka is.
        ring: unwraps and wraps.

    Raises:
        ConfigurationRefused: there is no such topic, or something else stands on it.
        NotReachable: Kafka does not answer.
    """

    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        self._ring = ring
        self._keys = WrappedKeys()
        self._ciphers = Ciphers(ring, self._keys)
        self._config = settings.kafka_config()
        self._admin = connect(self._config)
        check_topic(self._admin)
        self._producer: Producer | None = None  # most that read keys make none
        self._unknown_since: dict[str, float] = {}
        self._position = 0
        self._changed = threading.Condition()
        self._refused: HeadraceError | None = None
        self._opening = True
        self._ended = False
        self._thread = threading.Thread(target=self._follow, name="data-keys", daemon=True)
        self._thread.start()
        try:
            self._await_end(_OPEN_S)
            if self._refused is not None:
                raise self._refused
        except HeadraceError:
            self.close()
            raise
        self._opening = False

    def newest(self, subject: str) -> str:
        """Kid of the subject's newest key, made if there is none; see `Keys`."""
        key = self._keys.newest(subject)
        if key is None:
            key = new_key(self._ring, subject, int(time.time() * 1000))
            record = key.record()
            self._append(*record)
            self._take(*record)
        return key.kid

    def cipher(self, kid: str) -> AESGCM | None:
        """What encrypts and decrypts under a key; see `Keys`."""
        cipher = self._ciphers.of(kid)
        if cipher is not None or time.monotonic() - self._unknown_since.get(kid, -_UNKNOWN_S) < _UNKNOWN_S:
            return cipher
        try:
            self._await_end(_LOOK_S)
        except NotReachable as error:
            raise TransientError(f"data key {kid} is not known here yet: {error}") from None
        cipher = self._ciphers.of(kid)
        if cipher is None:
            if len(self._unknown_since) >= _REMEMBERED:
                self._unknown_since.clear()
            self._unknown_since[kid] = time.monotonic()
        return cipher

    def close(self) -> None:
        """Stop following the topic."""
        self._ended = True
        self._thread.join(_LOOK_S)

    def _append(self, key: bytes, value: bytes) -> None:
        refused: list[KafkaError] = []

        def judged(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                refused.append(error)

        if self._producer is None:
            self._producer = _producer(self._config)
        try:
            self._producer.produce(KEYS_TOPIC, value, key, _PARTITION.partition, on_delivery=judged)
            left = self._producer.flush(_APPEND_MS / 1000 + 1)
        except (KafkaException, BufferError, SystemError) as error:
            self._producer = None  # a fatal error ends it
            raise TransientError(f"Kafka did not take a new data key: {error}") from None
        if refused or left:
            reason = refused[0].str() if refused else f"no answer in {_APPEND_MS / 1000:g} s"
            raise TransientError(f"Kafka did not take a new data key: {reason}")

    def _await_end(self, timeout_s: float) -> None:
        """Wait until everything that is on the topic now is known here.

        Raises:
            NotReachable: it takes too long, as when a rotation is under way or Kafka is away.
        """
        deadline = time.monotonic() + timeout_s
        end = self._end(deadline)
        with self._changed:
            known = self._changed.wait_for(
                lambda: self._position >= end or self._refused is not None, max(0.0, deadline - time.monotonic())
            )
        if not known:
            raise NotReachable(f"{KEYS_TOPIC} could not be read to its end in {timeout_s:g} s")

    def _end(self, deadline: float) -> int:
        asked = {_PARTITION: OffsetSpec.latest()}  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        try:
            return int(answers[_PARTITION].result(max(0.1, deadline - time.monotonic())).offset)
        except KafkaException as error:
            raise NotReachable(str(failure(error, f"asking for the end of {KEYS_TOPIC}"))) from None
        except TimeoutError:
            raise NotReachable(f"Kafka did not say where {KEYS_TOPIC} ends") from None

    def _follow(self) -> None:
        consumer = Consumer(
            {
                **self._config,
                "group.id": "headrace-keys",  # required by the client; never joined, never committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "reconnect.backoff.max.ms": 1000,
                "logger": silent,
                "error_cb": lambda _error: None,
            }
        )
        consumer.assign([TopicPartition(KEYS_TOPIC, 0, OFFSET_BEGINNING)])
        while not self._ended:
            message = consumer.poll(_POLL_S)
            if message is not None:
                self._receive(message)
        consumer.close()

    def _receive(self, message: Message) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 the library's name
            log.debug("data_keys_not_read", error=error.str())  # the client goes on by itself
            return
        try:
            if error is None:
                self._take(message.key(), message.value())
        except ConfigurationRefused as refused:
            if self._opening:
                self._refused = refused
            else:
                log.error("data_key_refused", error=str(refused))  # noqa: TRY400 one line says it all
        with self._changed:
            self._position = (message.offset() or 0) + (error is None)
            self._changed.notify_all()

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        with self._changed:
            kid = self._keys.take(key, value)
            if value is None:
                self._ciphers.forget(kid)


def check_topic(admin: AdminClient) -> None:
    """Refuse a cluster without the topic of data keys.

    Raises:
        ConfigurationRefused: there is none, or not as it has to be.
        HeadraceError: Kafka does not answer.
    """
    topic = list_topics(admin).topics.get(KEYS_TOPIC)
    if topic is None:
        raise ConfigurationRefused(f"topic {KEYS_TOPIC} is not on the cluster; run `headrace topology apply`")
    if len(topic.partitions) != 1:
        raise ConfigurationRefused(f"{KEYS_TOPIC} has {len(topic.partitions)} partitions; expected 1; make it anew")


def _producer(config: Mapping[str, str]) -> Producer:
    return Producer(
        {
            **config,
            "enable.idempotence": True,
            "linger.ms": 0,
            "delivery.timeout.ms": _APPEND_MS,
            "logger": silent,
            "error_cb": lambda _error: None,
        }
    )
