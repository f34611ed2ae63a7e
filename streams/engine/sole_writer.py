"""Appending where what is written depends on what is there already: one writer at a time, under one transactional id.

A writer takes the id (which fences and aborts any other), reads to the end, decides, appends, commits. So nothing comes
between what it read and what it writes. A fenced writer starts again.
"""

import logging
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException, Producer

from streams.engine.clients import Verdict, name_of, verdict_on
from streams.errors import NotReachable

CALL_S = 5.0  # one call of the transactional producer; it is repeated until the deadline
_TRANSACTION_TIMEOUT_MS = 10_000

# librdkafka reports a fencing as fatal even at log level 0; here it is expected, and what is not expected is raised.
silent = logging.getLogger("streams.engine.sole_writer.librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


class Fenced(Exception):
    """Another writer took the transactional id, or the transaction failed in a way that only a new one mends."""


def sole_producer(config: Mapping[str, str], transactional_id: str, deadline: float, what: str) -> Producer:
    """The one producer that may write under the id from now on.

    Raises:
        Fenced: another took the id meanwhile.
        NotReachable: time is up; `what` begins the message.
    """
    producer = Producer(
        {
            **config,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
            "linger.ms": 0,
            "logger": silent,
            "error_cb": lambda _error: None,  # without one, fatal errors come out of flush() as SystemError
        }
    )
    insist(lambda: producer.init_transactions(CALL_S), deadline, what)
    return producer


def insist(call: Callable[[], None], deadline: float, what: str) -> None:
    """Repeat a call of the producer while librdkafka says that repeating it is right.

    Raises:
        Fenced: this producer is finished; what it did is known only from reading the topic again.
        NotReachable: time is up; `what` begins the message.
    """
    while True:
        try:
            call()
        except (KafkaException, SystemError) as error:
            if verdict_on(error) is not Verdict.RETRY:
                raise Fenced(name_of(error)) from None
            if time.monotonic() > deadline:
                raise NotReachable(f"{what}: Kafka did not answer ({name_of(error)})") from None
        else:
            return
