"""The connection to a cluster: bounded, and every refusal one line that says what to do."""

import concurrent.futures
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import HeadraceError, NotReachable, UsageError

REQUEST_S = 10.0
# For requests to a group's coordinator: when librdkafka's own limit passes, a late answer ends the process on an
# assertion (issue 4605). So it gets the most that it takes, and `result_of` bounds the wait.
COORDINATOR_REQUEST_S = 3600.0
_CONNECT_S = 8.0
_ONE_TRY_S = 1.0
SETTLED_S = 20.0
PAUSE_S = 0.2

# A group's coordinator is moving or still reads its offsets; a partition that was only now made is known to the
# controller but not yet to the broker that leads it. Soon they answer.
_UNSETTLED = frozenset(
    {
        "NOT_COORDINATOR",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "LEADER_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "UNKNOWN_LEADER_EPOCH",
        "UNKNOWN_TOPIC_OR_PART",
    }
)
# Too few brokers, for now: as good as no answer.
_LEADERLESS = frozenset(
    {
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "FENCED_LEADER_EPOCH",
        "UNKNOWN_LEADER_EPOCH",
        "_NOENT",  # librdkafka's, where metadata names no leader
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    }
)
_WRONG_PASSWORD = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"})
_NO_TLS = frozenset({"_SSL"})
_SILENCE = frozenset({"_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN", "_RESOLVE", "REQUEST_TIMED_OUT"})

T = TypeVar("T")


def connect(config: Mapping[str, str]) -> AdminClient:
    """An AdminClient that has had an answer.

    Raises:
        NotReachable: nobody answers within about 8 s, or the broker refuses us, which is said at once.
        UsageError: librdkafka does not take the settings.
    """
    errors: list[KafkaError] = []
    settings: dict[str, Any] = {
        **config,
        "log_level": 0,  # what librdkafka would log is in the one line that we raise
        "reconnect.backoff.max.ms": 1000,
        "error_cb": errors.append,
    }
    admin = _client(settings)
    deadline = time.monotonic() + _CONNECT_S
    while True:
        try:
            admin.list_topics(timeout=_ONE_TRY_S)
        except KafkaException as error:
            admin.poll(0)  # a bad password shows only in error_cb, which is called from here
            _refuse_if_refused(config, errors)
            if time.monotonic() > deadline:
                raise NotReachable(_silence(config, [*errors, error.args[0]])) from None
        else:
            return admin


def _client(settings: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(settings)
    except (KafkaException, ValueError, TypeError) as error:
        reason = line_of(error.args[0]) if isinstance(error, KafkaException) else " ".join(str(error).split())
        raise UsageError(f"Kafka's client refuses its settings: {reason}; check KAFKA_*") from None


def _refuse_if_refused(config: Mapping[str, str], errors: list[KafkaError]) -> None:
    where = config["bootstrap.servers"]
    for error in errors:
        if error.name() in _WRONG_PASSWORD:
            user = config.get("sasl.username", "")
            remedy = "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
            raise NotReachable(f"Kafka at {where} refused user {user!r} ({line_of(error)}); {remedy}")
        if error.name() in _NO_TLS:
            raise NotReachable(f"no TLS with Kafka at {where} ({line_of(error)}); check KAFKA_SSL_*")


def _silence(config: Mapping[str, str], errors: list[KafkaError]) -> str:
    """The first error of a single broker tells most; that all are down follows from it."""
    told = next((error for error in errors if error.name() != "_ALL_BROKERS_DOWN"), errors[-1])
    remedy = "start it, or set KAFKA_BOOTSTRAP_SERVERS"
    return f"no Kafka at {config['bootstrap.servers']} in {_CONNECT_S:g} s ({line_of(told)}); {remedy}"


def line_of(error: KafkaError) -> str:
    """What an error says, in one line."""
    return " ".join(error.str().split())


def failure(error: KafkaException, what: str) -> HeadraceError:
    """The error that ends the command when Kafka did not do `what`."""
    reason: KafkaError = error.args[0]
    if reason.name() in _SILENCE:
        return NotReachable(f"{what}: Kafka did not answer ({line_of(reason)}); try again")
    if reason.name() in _LEADERLESS:
        return NotReachable(f"{what}: too few brokers are there ({reason.name()}: {line_of(reason)}); try again")
    return HeadraceError(f"{what}: Kafka refused ({reason.name()}: {line_of(reason)})")


def result_of(future: Any) -> Any:  # Any: confluent_kafka's futures say nothing of their results
    """Result of one of AdminClient's futures; KafkaException where Kafka refused.

    Raises:
        NotReachable: librdkafka did not keep the request's own time limit.
    """
    try:
        return future.result(timeout=2 * REQUEST_S)
    except concurrent.futures.TimeoutError:
        raise NotReachable(f"Kafka did not answer in {2 * REQUEST_S:g} s; try again") from None


def answer(future: Any, what: str) -> Any:  # Any: as result_of
    """Result of one of AdminClient's futures.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    try:
        return result_of(future)
    except KafkaException as error:
        raise failure(error, what) from None


def once_settled(ask: Callable[[], T], what: str) -> T:
    """Ask, and again while coordinators or leaders are moving; `ask` raises KafkaException.

    Raises:
        HeadraceError: it did not settle in 20 s, or refuses for another reason.
    """
    deadline = time.monotonic() + SETTLED_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if not unsettled(error.args[0]) or time.monotonic() > deadline:
                raise failure(error, what) from None
        time.sleep(PAUSE_S)


def unsettled(error: KafkaError) -> bool:
    """Whether coordinators or leaders are moving, so that the same request will soon be answered."""
    return error.name() in _UNSETTLED


def offset_in(found: Any) -> int:  # Any: ListOffsetsResultInfo has no types
    """Offset in an answer about a partition's start or end.

    Raises:
        KafkaException: there is none: librdkafka 2.16 gives OFFSET_INVALID (-1001), and no error, where the leader
            did not answer in time. Taken for an end, it would make every store one that is past it.
    """
    if found.offset < 0:
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    return int(found.offset)


def list_topics(admin: AdminClient) -> Any:  # Any: ClusterMetadata has no types
    """Metadata of the whole cluster.

    Raises:
        HeadraceError: Kafka refused or did not answer.
    """
    try:
        return admin.list_topics(timeout=REQUEST_S)
    except KafkaException as error:
        raise failure(error, "listing topics") from None
