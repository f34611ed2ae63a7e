"""Keeps the offsets of subscriptions whose readers are away: once a day they are committed again (design, section 4).

The broker forgets offsets `offsets.retention.minutes` after their last commit; a subscriber who comes a month later
shall miss nothing. Groups with members look after themselves, and refuse it.
"""

import asyncio
import time

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.group_offsets import committed_offsets
from streams.errors import HeadraceError
from streams.topology.connection import connect
from streams.topology.desired import DesiredGroup, desired_groups
from streams.topology.model import Topology
from streams.topology.offsets import set_offsets, tells_of_members
from streams.topology.replay import Partition
from streams.topology.replaying import partition_counts

log = structlog.get_logger(__name__)

_EVERY_S = 86_400.0
_LOOK_S = 5.0
_AGAIN_S = 300.0  # after a day on which Kafka did not answer
_PARTITION = 0  # whoever owns it of the lead does it for all


def subscription_groups(topology: Topology) -> list[DesiredGroup]:
    """Groups of named readers, which begin at the end: nobody may begin there twice."""
    return [group for group in desired_groups(topology, ()).values() if group.start == "end"]


async def keep_subscriptions(app: StageApp, topology: Topology, settings: Settings) -> None:
    """Commit again once a day, and soon after the start, until the App stops."""
    groups = subscription_groups(topology)
    due = time.monotonic()
    while not app.should_stop and groups:
        await app.sleep(_LOOK_S)
        if time.monotonic() < due or _PARTITION not in app.reads().local_partitions():
            continue
        try:
            await asyncio.to_thread(commit_again, settings, groups)
            due = time.monotonic() + _EVERY_S
        except (HeadraceError, KafkaException) as error:
            log.warning("keeping offsets of subscriptions", error=str(error))
            due = time.monotonic() + _AGAIN_S


def commit_again(settings: Settings, groups: list[DesiredGroup]) -> list[str]:
    """Commit the offsets of these groups as they are; returns those that were kept, without those that have members.

    Raises:
        HeadraceError: Kafka did not answer, or refused.
        KafkaException: the coordinator did not answer.
    """
    admin = connect(settings.kafka_config())
    return [group.name for group in groups if _commit_again(settings, admin, group)]


def _commit_again(settings: Settings, admin: AdminClient, group: DesiredGroup) -> bool:
    counts = partition_counts(admin, group.topics)
    asked = [(topic, partition) for topic, count in counts.items() for partition in range(count)]
    found = committed_offsets(settings.kafka_config(), group.name, asked)
    offsets = {Partition(*each): offset for each, offset in found.items() if offset >= 0}
    refused = set_offsets(admin, group.name, offsets)
    others = [error for error in refused.values() if not tells_of_members(error)]
    if others:
        log.warning("a subscription's offsets cannot be kept", group=group.name, error=others[0].str())
    return bool(offsets) and not refused
