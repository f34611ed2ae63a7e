"""Mounts the web server on the Faust App that hosts it, in place of Faust's own pages."""

import asyncio
import functools
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.engine.app import StageApp
from streams.engine.owners import Owners, owners_of
from streams.engine.stage import StageSpec
from streams.errors import NotReachable
from streams.web.access import Access
from streams.web.directory import HOP_SECONDS, Directory
from streams.web.letter_handlers import Desk
from streams.web.server import attach


def mount(
    host_app: StageApp,
    stages: Sequence[StageApp],
    settings: Settings,
    *,
    known: Sequence[StageSpec],
    desk: Desk | None = None,
) -> None:
    """Let `host_app`'s web server, not yet started, serve the HTTP API and the page of all `stages`.

    Args:
        host_app: the App of the process whose web server runs.
        stages: all that run in this process.
        settings: for the tokens, the address, and Kafka's address.
        known: all stages of the topology, whoever runs them.
        desk: opens dead letters.

    Raises:
        UsageError: other machines could read without a token.
    """
    access = Access(settings.web_roles(), settings.web_host)
    here = {stage.spec.name: stage for stage in stages}

    async def find_owners(spec: StageSpec) -> Owners:
        if spec.name in here:
            return await here[spec.name].reads().owners()
        return await owners_of(settings, spec.group)

    @functools.cache
    def admin() -> AdminClient:
        return AdminClient({**settings.kafka_config(), "log_level": 0})  # the answers tell what fails

    async def count_partitions(topic: str) -> int:
        return await asyncio.to_thread(_count_partitions, admin(), topic)

    attach(
        host_app.bare_web(),
        stages,
        known,
        directory=Directory(find_owners, count_partitions),
        access=access,
        own_url=settings.advertised_url(),
        desk=desk,
    )


def _count_partitions(admin: AdminClient, topic: str) -> int:
    try:
        metadata = admin.list_topics(topic, timeout=HOP_SECONDS).topics[topic]
    except KafkaException as error:
        raise NotReachable("no broker answers") from error
    if metadata.error is not None or not metadata.partitions:
        raise NotReachable(f"topic {topic} is not there; `headrace topology apply` makes it")
    return len(metadata.partitions)
