"""Who owns what: a member's client id is its worker's web address, its assignment the lead's partitions.

A question to a group's coordinator must never run into librdkafka's own timeout: an answer that comes later ends the
process on an assertion (issue 4605). So the timeout is long, waiting is bounded here, and one question is open at most.
"""

import asyncio
import functools
import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import NotReachable

_WAIT_S = 3.0
_GIVE_UP_S = 20.0  # then the client has missed that the coordinator came back (issue 5511), and another one asks
_LONGEST_S = 3600.0  # the most that librdkafka takes
_MOST_CLIENTS = 50  # each kept for ever with its open question; one an outage at most


class _Asker:
    """Asks coordinators on behalf of one set of connection properties."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._clients = [AdminClient(config)]
        self._open: dict[str, tuple[Future[Any], float]] = {}

    async def describe(self, group: str) -> Any:
        """Description of a group.

        Raises:
            NotReachable: no answer in three seconds.
        """
        question, since = self._question(group)
        await asyncio.wait([asyncio.wrap_future(question)], timeout=_WAIT_S)
        if not question.done():
            if time.monotonic() - since > _GIVE_UP_S and len(self._clients) < _MOST_CLIENTS:
                self._clients.append(AdminClient(self._config))
                self._open.clear()
            raise NotReachable(f"the coordinator of {group} does not answer")
        self._open.pop(group, None)
        try:
            return question.result()
        except KafkaException as error:
            raise NotReachable(f"the coordinator of {group} does not answer: {error.args[0].str()}") from error

    def _question(self, group: str) -> tuple["Future[Any]", float]:
        if group not in self._open:
            future = self._clients[-1].describe_consumer_groups([group], request_timeout=_LONGEST_S)[group]
            self._open[group] = (future, time.monotonic())
        return self._open[group]


@functools.lru_cache(maxsize=4)
def _asker(config: tuple[tuple[str, str], ...]) -> _Asker:
    return _Asker({**dict(config), "log_level": 0})


async def owners_of(settings: Settings, group: str) -> dict[int, str]:
    """Owner of each partition of the group's lead: partition -> base URL of the worker that has it.

    Raises:
        NotReachable: the group's coordinator did not answer in three seconds.
    """
    description = await _asker(tuple(settings.kafka_config().items())).describe(group)
    return {
        tp.partition: member.client_id
        for member in description.members
        if member.assignment is not None
        for tp in member.assignment.topic_partitions
    }
