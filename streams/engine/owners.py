"""Who owns what: a member's client id is its worker's web address, its assignment the lead's partitions.

A question to a group's coordinator must never run into librdkafka's own timeout: an answer that comes later ends the
process on an assertion (issue 4605). So the timeout is long, waiting is bounded here, and one question is open at most.
"""

import asyncio
import functools
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import NotReachable
from streams.topology.connection import COORDINATOR_REQUEST_S

_WAIT_S = 3.0
_PAUSE_S = 0.2
_GIVE_UP_S = 20.0  # then the client has missed that the coordinator came back (issue 5511), and another one asks
_COMMANDS_WAIT_S = 20.0  # of a command, which has nothing else to do
_MOST_CLIENTS = 50  # each kept for ever with its open question; one an outage at most


class Owner(NamedTuple):
    """Who owns a partition: its worker's web address, and its name in the group, which no other process has."""

    url: str
    member_id: str


@dataclass(frozen=True, slots=True)
class Owners:
    """What a group's coordinator said of its members.

    Args:
        asked_at: monotonic time in seconds: it was so at that time or later.
        by_partition: owner of each partition of the lead; unowned ones are absent, and all are during a rebalance.
        members: names of all members.
    """

    asked_at: float
    by_partition: Mapping[int, Owner]
    members: frozenset[str]

    def confirm(self, partition: int, member_id: str) -> bool:
        """Whether `member_id`, which believes to own `partition`, may go on to: it is a member, and no other owns it.

        Nobody gets a partition of a member that has not given it up. During a rebalance nobody is said to own any.
        """
        owner = self.by_partition.get(partition)
        return member_id in self.members and (owner is None or owner.member_id == member_id)


class _Asker:
    """Asks coordinators on behalf of one set of connection properties."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._clients = [AdminClient(config)]
        self._open: dict[str, tuple[Future[Any], float]] = {}

    async def describe(self, group: str) -> tuple[float, Any]:
        """Monotonic time of the question, and the description of a group.

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
            return since, question.result()
        except KafkaException as error:
            raise NotReachable(f"the coordinator of {group} does not answer: {error.args[0].str()}") from error

    def _question(self, group: str) -> tuple["Future[Any]", float]:
        if group not in self._open:
            asked_at = time.monotonic()  # before it is sent: the answer is never older than this
            future = self._clients[-1].describe_consumer_groups([group], request_timeout=COORDINATOR_REQUEST_S)[group]
            self._open[group] = (future, asked_at)
        return self._open[group]


@functools.lru_cache(maxsize=4)
def _asker(config: tuple[tuple[str, str], ...]) -> _Asker:
    return _Asker({**dict(config), "log_level": 0})


async def owners_of(settings: Settings, group: str) -> Owners:
    """Owners of the partitions of the group's lead.

    Raises:
        NotReachable: the group's coordinator did not answer in three seconds.
    """
    asked_at, description = await _asker(tuple(settings.kafka_config().items())).describe(group)
    by_partition = {
        tp.partition: Owner(member.client_id, member.member_id)
        for member in description.members
        if member.assignment is not None
        for tp in member.assignment.topic_partitions
    }
    return Owners(asked_at, by_partition, frozenset(member.member_id for member in description.members))


def members_of(settings: Settings, group: str) -> list[str]:
    """Where each member of a group is: a worker's base URL, of any other client its id and host.

    Raises:
        NotReachable: the group's coordinator did not answer in twenty seconds.
    """
    return asyncio.run(_members_of(settings, group, time.monotonic() + _COMMANDS_WAIT_S))


async def _members_of(settings: Settings, group: str, deadline: float) -> list[str]:
    asker = _asker(tuple(settings.kafka_config().items()))
    while True:
        try:
            _, description = await asker.describe(group)
        except NotReachable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)  # a coordinator that is loading refuses at once
        else:
            return sorted(_address(member.client_id, member.host) for member in description.members)


def _address(client_id: str, host: str) -> str:
    return client_id if "://" in client_id else f"{client_id} at {host.removeprefix('/')}"
