"""Who owns what: a member's client id is its worker's web address, its assignment the lead's partitions."""

import asyncio
import functools
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import NotReachable

_ASK_S = 3


@functools.lru_cache(maxsize=4)
def _admin(config: tuple[tuple[str, str], ...]) -> AdminClient:
    return AdminClient({**dict(config), "log_level": 0})


async def owners_of(settings: Settings, group: str) -> dict[int, str]:
    """Owner of each partition of the group's lead: partition -> base URL of the worker that has it.

    Raises:
        NotReachable: the group's coordinator did not answer in three seconds.
    """
    admin = _admin(tuple(settings.kafka_config().items()))
    future = admin.describe_consumer_groups([group], request_timeout=_ASK_S)[group]
    try:
        description: Any = await asyncio.wait_for(asyncio.wrap_future(future), _ASK_S + 1)
    except (KafkaException, TimeoutError) as error:
        raise NotReachable(f"the coordinator of {group} does not answer: {error}") from error
    return {
        tp.partition: member.client_id
        for member in description.members
        if member.assignment is not None
        for tp in member.assignment.topic_partitions
    }
