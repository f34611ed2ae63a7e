"""What a stage must know of the cluster before it starts: that it is there, and that its topics are as planned.

Also asks for offsets while the engine runs; every answer is a future, so that no partition waits for another's.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from streams.config import Settings
from streams.engine.clients import BATCH_SIZE_BYTES, ErrorCallback, name_of
from streams.engine.group_offsets import GroupOffsets
from streams.engine.stage import TP, StageSpec
from streams.errors import ConfigurationRefused

_ASK_S = 10
_NEW_CLIENT_S = 10.0  # seen: a client found no broker for two minutes while another one in its process had three
_ENDS_S = 3  # a leader that has just died is asked in vain for as long
_OFFSETS_S = 5  # the client repeats the question by itself while a transaction holds an offset open
_DEFAULT_DELETE_RETENTION_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the cluster said at the start.

    Args:
        cluster_id: Kafka's.
        partitions: partition count of every topic that the stage reads or writes.
        topic_ids: of the changelogs.
        delete_retention_s: of each changelog; an older store may have missed tombstones.
        batch_size: bytes; for the producer.
    """

    cluster_id: str
    partitions: dict[str, int]
    topic_ids: dict[str, str]
    delete_retention_s: dict[str, float]
    batch_size: int


class Cluster:
    """Asks the brokers through one admin client."""

    def __init__(self, settings: Settings, spec: StageSpec, on_error: ErrorCallback) -> None:
        self._spec = spec
        conf: dict[str, Any] = {**settings.kafka_config(), "error_cb": on_error, "log_level": 0}
        conf["reconnect.backoff.max.ms"] = 1000
        self._conf = conf
        self._admin = AdminClient(conf)
        # Clients with open questions, the replaced ones too: the future of a client that is gone is never done.
        self._asking: list[tuple[AdminClient, list[Future[Any]]]] = []
        self._offsets = GroupOffsets(settings.kafka_config(), spec.group)
        self._bootstrap = settings.bootstrap_servers()

    def wait(self, stopping: Callable[[], bool], report: Callable[[str], None]) -> bool:
        """Wait for a broker to answer; False when the worker stops meanwhile. `report` gets what it waits for."""
        patience_ends = time.monotonic() + _NEW_CLIENT_S
        while not stopping():
            if time.monotonic() > patience_ends:
                self.start_again()
                patience_ends = time.monotonic() + _NEW_CLIENT_S
            self._admin.poll(0)  # serves the callback of errors: a refused password is told nowhere else
            try:
                if self._admin.list_topics(timeout=1).brokers:
                    return True
            except KafkaException as error:
                report(f"waiting for Kafka at {self._bootstrap} ({name_of(error)})")
            time.sleep(0.1)  # a refused connection fails at once; nothing to await but the next try
        return False

    def facts(self, changelogs: Iterable[str]) -> ClusterFacts:
        """Check the stage's topics and collect what the engine needs.

        Raises:
            ConfigurationRefused: a topic is missing or has another partition count than the lead.
        """
        spec, changelogs = self._spec, list(changelogs)
        aligned = [*spec.sources, *changelogs]
        topics = {*aligned, *spec.destinations, spec.dead_letters}
        metadata = self._admin.list_topics(timeout=_ASK_S)
        missing = sorted(t for t in topics if t not in metadata.topics or metadata.topics[t].error is not None)
        if missing:
            raise ConfigurationRefused(
                f"stage {spec.name} needs topics that do not exist: {', '.join(missing)}; run `headrace topology apply`"
            )
        partitions = {topic: len(metadata.topics[topic].partitions) for topic in topics}
        for topic in aligned:
            if partitions[topic] != partitions[spec.lead]:
                raise ConfigurationRefused(
                    f"stage {spec.name}: {topic} has {partitions[topic]} partitions, its lead {spec.lead} has "
                    f"{partitions[spec.lead]}; they must be equal, make a new topic and copy"
                )
        configs = self._configs(topics)
        written = [topic for topic in topics if topic not in spec.sources]
        sizes = [int(configs[topic].get("max.message.bytes", BATCH_SIZE_BYTES)) for topic in written]
        return ClusterFacts(
            cluster_id=str(metadata.cluster_id),
            partitions=partitions,
            topic_ids=self._topic_ids(changelogs),
            delete_retention_s={t: _delete_retention_s(configs[t]) for t in changelogs},
            batch_size=min([BATCH_SIZE_BYTES, *sizes]),
        )

    def _configs(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        futures = self._admin.describe_configs(resources, request_timeout=_ASK_S)
        return {r.name: {e.name: e.value for e in f.result().values()} for r, f in futures.items()}

    def _topic_ids(self, topics: list[str]) -> dict[str, str]:
        if not topics:
            return {}
        futures = self._admin.describe_topics(TopicCollection(topics), request_timeout=_ASK_S)
        return {topic: str(future.result().topic_id) for topic, future in futures.items()}

    def start_again(self) -> None:
        """Take a new admin client.

        After a broker's restart the old one asks with a leader's old epoch, and may wait for a coordinator that it
        does not notice has come back (librdkafka issue 5511).
        """
        self._admin = AdminClient(self._conf)

    def end_offsets(self, tps: Iterable[TP]) -> dict[TP, "Future[Any]"]:
        """Ends of partitions, transactions that are still open included (READ_UNCOMMITTED)."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        specs = {TopicPartition(*tp): latest for tp in tps}
        if not specs:
            return {}
        futures = self._admin.list_offsets(
            specs, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_ENDS_S
        )
        self._asking = [(client, asked) for client, asked in self._asking if not all(f.done() for f in asked)]
        self._asking.append((self._admin, list(futures.values())))
        return {TP(p.topic, p.partition): future for p, future in futures.items()}

    def committed_offsets(self, tps: Iterable[TP]) -> "Future[dict[TP, int]]":
        """Offsets of the stage's group, none that a transaction still holds open; asked in a thread of its own."""
        answer: Future[dict[TP, int]] = Future()
        offsets, asked = self._offsets, list(tps)

        def ask() -> None:
            try:
                answer.set_result(offsets.committed(asked, _OFFSETS_S))
            except (KafkaException, RuntimeError) as error:  # RuntimeError: closed meanwhile
                answer.set_exception(error)

        threading.Thread(target=ask, name=f"offsets-{self._spec.name}", daemon=True).start()
        return answer


def _delete_retention_s(config: dict[str, str]) -> float:
    raw = config.get("delete.retention.ms")
    return int(raw) / 1000 if raw is not None else _DEFAULT_DELETE_RETENTION_S
