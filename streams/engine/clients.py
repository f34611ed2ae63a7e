"""Configuration of librdkafka's clients, and what their errors mean. The reasons stand beside the numbers."""

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streams.config import Settings
from streams.engine.stage import StageSpec

TRANSACTION_TIMEOUT_MS = 10_000
SESSION_TIMEOUT_MS = 6_000  # the broker's group.min.session.timeout.ms by default
BATCH_SIZE_BYTES = 256 * 1024

Client = TypeVar("Client", Consumer, Producer)
ErrorCallback = Callable[[KafkaError], None]

# Delivery reports that convict the record; every other failure is the cluster's, not the record's.
REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        # Brokers name the records that these are about; librdkafka reports the others as _INVALID_DIFFERENT_RECORD.
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
    }
)

REFUSAL_NAMES = frozenset(KafkaError(code).name() for code in REFUSALS)

# Nothing that time or another try would mend.
FORBIDDEN = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)

# A transaction that another part of the same batch has spoiled; these alone say nothing of any record.
UNEXPLAINED = frozenset(
    {"_INVALID_DIFFERENT_RECORD", "_PURGE_QUEUE", "_PURGE_INFLIGHT", "OUT_OF_ORDER_SEQUENCE_NUMBER"}
)


def _shared(settings: Settings, client_id: str, on_error: ErrorCallback) -> dict[str, object]:
    return {
        **settings.kafka_config(),
        "client.id": client_id,
        # Without a callback a fatal error is raised inside flush() or poll(), and from there also as SystemError.
        "error_cb": on_error,
        "reconnect.backoff.max.ms": 1000,  # a broker that comes back is used at once (default: up to 10 s later)
        "log_level": 0,
    }


def _fetching(settings: Settings, client_id: str, on_error: ErrorCallback) -> dict[str, object]:
    return {
        **_shared(settings, client_id, on_error),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 5,  # default 1000: a full queue would idle the worker for a second
    }


def lead_config(settings: Settings, spec: StageSpec, on_error: ErrorCallback) -> dict[str, object]:
    """Consumer that subscribes to the stage's lead; its client id is how others find this worker's web server."""
    conf = _fetching(settings, settings.advertised_url(), on_error)
    conf |= {
        "group.id": spec.group,
        "auto.offset.reset": "error",  # a missing offset must never silently skip or repeat messages
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 32_768,
        "enable.partition.eof": spec.timed,  # a timer fires when its partition has been read to the end
    }
    if spec.group_protocol == "consumer":
        conf |= {"group.protocol": "consumer", "group.remote.assignor": "uniform"}
        return conf
    conf |= {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": 1000,
    }
    if spec.static_membership:
        conf["group.instance.id"] = settings.instance_id
    return conf


def follower_config(settings: Settings, spec: StageSpec, on_error: ErrorCallback) -> dict[str, object]:
    """Consumer that is assigned, not subscribed, the partitions that follow the lead's."""
    return {
        **_fetching(settings, settings.advertised_url(), on_error),
        "group.id": spec.group,
        "auto.offset.reset": "error",
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 32_768,
        "enable.partition.eof": spec.timed,
    }


def restore_config(settings: Settings, spec: StageSpec, on_error: ErrorCallback) -> dict[str, object]:
    """Consumer that reads changelogs from explicit offsets to their end; it is in no group."""
    return {
        **_fetching(settings, settings.advertised_url(), on_error),
        "group.id": f"{spec.group}-restore",  # required by the client; never joined, never committed
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": 32_768,
    }


def producer_config(
    settings: Settings, spec: StageSpec, on_error: ErrorCallback, *, batch_size: int
) -> dict[str, object]:
    """The stage's transactional producer.

    `batch_size` (bytes) is at most the smallest `max.message.bytes` of any topic it writes, since that limit applies
    to whole compressed batches.
    """
    return {
        **_shared(settings, settings.advertised_url(), on_error),
        "transactional.id": f"{spec.group}-{settings.instance_id}",
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "message.timeout.ms": 5000,
        "topic.metadata.propagation.max.ms": 1000,
        "linger.ms": 5,
        "batch.num.messages": 10_000,
        "batch.size": batch_size,
        "message.max.bytes": 64 << 20,  # size is the broker's verdict, not the client's
        "compression.type": "lz4",
        "partitioner": "murmur2_random",  # agrees with Java clients
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 256 << 10,
    }


def acquainted(client: Client) -> Client:
    """The client, connected and with the cluster's topics in its memory.

    A consumer that has idled looks for the leader of a partition that it is assigned only once a second (librdkafka's
    topic scan), and who asks for a coordinator before there is a connection asks again half a second later.
    """
    with suppress(KafkaException):
        client.list_topics(timeout=1)
    return client


class Verdict(Enum):
    """What to do about a Kafka error during a transaction."""

    RETRY = auto()  # the same call again
    ABORT = auto()  # abort the transaction, then run its records again
    FENCED = auto()  # this producer is finished: another one, from the committed offsets


def verdict_on(error: BaseException) -> Verdict:
    """Judge an exception of the transactional producer.

    A fatal error that surfaces inside a callback of flush() comes as SystemError (confluent-kafka-python).
    """
    if isinstance(error, SystemError):
        return Verdict.FENCED
    if not isinstance(error, KafkaException):
        return Verdict.ABORT
    kafka_error = error.args[0]
    if kafka_error.fatal() or kafka_error.code() in {KafkaError._FENCED, KafkaError._FATAL}:  # noqa: SLF001
        return Verdict.FENCED
    if kafka_error.txn_requires_abort():
        return Verdict.ABORT
    return Verdict.RETRY if kafka_error.retriable() else Verdict.ABORT


def code_of(error: BaseException) -> int | None:
    """Kafka's error code, where the exception carries one."""
    return error.args[0].code() if error.args and isinstance(error.args[0], KafkaError) else None


def is_fencing(error: BaseException) -> bool:
    """Whether another producer has this transactional id, or the broker has given up this one's transaction.

    A fatal error that surfaces inside a callback hides behind a SystemError; being fenced is what is fatal in practice.
    """
    if is_rebalance(error):
        return False
    fencing = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}  # noqa: SLF001
    return isinstance(error, SystemError) or code_of(error) in fencing or "fenced" in str(error).lower()


def is_rebalance(error: BaseException) -> bool:
    """Whether the group moved on while the offsets were on their way: the cycle runs again, nobody is to blame.

    A static member that another one replaced hears more of it from its consumer (sources.MembershipFenced).
    """
    moved = {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
    }
    return code_of(error) in moved


def name_of(error: BaseException) -> str:
    """A short name and text of a Kafka error for one log line."""
    kafka_error = error.args[0] if error.args and isinstance(error.args[0], KafkaError) else None
    return f"{kafka_error.name()}: {kafka_error.str()}" if kafka_error is not None else repr(error)
