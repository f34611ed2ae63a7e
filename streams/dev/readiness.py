"""Waits, each bounded, until brokers really serve: not only listen, and not somebody else's cluster."""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import NotReachable

PAUSE_S = 0.05
REQUEST_S = 2.0
_LONGEST_REQUEST_S = 3600.0  # the most that librdkafka takes


def admin_client(bootstrap_servers: str) -> AdminClient:
    """An admin client that reconnects fast and logs nothing: refused connections are expected here."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
        }
    )


class WrongCluster(NotReachable):
    """Another cluster answers on the address."""


def await_condition(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until `condition` holds; a Kafka error, or an answer that does not come in time, counts as not yet.

    Raises:
        NotReachable: it does not hold after `timeout_s`; says `what` was awaited and the last error.
    """
    deadline, last = time.monotonic() + timeout_s, ""
    while True:
        try:
            if condition():
                return
        except (KafkaException, TimeoutError) as error:  # a future's result is waited for on the caller's clock
            last = f" ({error.args[0] if error.args else 'no answer in time'})"
        if time.monotonic() > deadline:
            raise NotReachable(f"waited {timeout_s:g} s for {what}{last}")
        time.sleep(PAUSE_S)


def answers(admin: AdminClient, cluster_id: str, brokers: int) -> bool:
    """Whether at least `brokers` brokers of this very cluster are registered.

    Raises:
        WrongCluster: another cluster answers.
        confluent_kafka.KafkaException: nobody does.
    """
    metadata: Any = admin.list_topics(timeout=REQUEST_S)
    if metadata.cluster_id is not None and metadata.cluster_id != cluster_id:
        raise WrongCluster(f"expected cluster {cluster_id}, but cluster {metadata.cluster_id} answers on this port")
    return len(metadata.brokers) >= brokers


def group_coordinator_answers(admin: AdminClient) -> bool:
    """Whether consumer groups work; the first question makes the broker create its offsets topic."""
    asked = admin.describe_consumer_groups(["headrace-warm-up"], request_timeout=_LONGEST_REQUEST_S)
    try:
        # The client's own timeout can end the process (docs/decisions/0009).
        asked["headrace-warm-up"].result(REQUEST_S)
    except TimeoutError:  # three brokers of a busy machine take longer over their offsets topic
        return False
    return True


def in_sync(admin: AdminClient) -> bool:
    """Whether every replica of every partition is in sync."""
    topics: Any = admin.list_topics(timeout=REQUEST_S).topics
    return all(
        partition.leader >= 0 and len(partition.isrs) == len(partition.replicas)
        for topic in topics.values()
        for partition in topic.partitions.values()
    )


def cluster_id_of(bootstrap_servers: str, timeout_s: float = REQUEST_S) -> str | None:
    """Id of the cluster that answers there, None when nobody does within `timeout_s`."""
    try:
        return str(admin_client(bootstrap_servers).list_topics(timeout=timeout_s).cluster_id)
    except KafkaException:
        return None
