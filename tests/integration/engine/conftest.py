"""Fixtures: `bench` makes a stage's topics and offsets on the shared broker; `count_app` is a stage to run on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.readiness import admin_client
from streams.engine.retrying import RetryPolicy
from streams.engine.stage import StageSpec, TableSpec
from tests.conftest import Kafka
from tests.integration.engine.children import StartChild, child_starter
from tests.integration.engine.stages import Bench, configure_group, make_topics, preset_offsets


class MakeBench(Protocol):
    """See `make_bench`."""

    def __call__(
        self,
        *,
        partitions: int = 1,
        tables: tuple[str, ...] = ("counts",),
        followers: int = 0,
        configs: dict[str, dict[str, str]] | None = None,
        preset: bool = True,
        of: Settings | None = None,
        retries: RetryPolicy | None = None,
        **spec: Any,
    ) -> Bench: ...


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage says how it is every 50 ms, not every second: tests wait for what it says."""
    monkeypatch.setattr("streams.engine.loop.SAMPLE_S", 0.05)


@pytest.fixture
def make_bench(settings: Settings, unique_name: Callable[[str], str]) -> MakeBench:
    """Topics of a stage: lead, followers, changelogs, dlq and one destination; `configs` by role (`out`, `dlq`)."""

    def make(
        *,
        partitions: int = 1,
        tables: tuple[str, ...] = ("counts",),
        followers: int = 0,
        configs: dict[str, dict[str, str]] | None = None,
        preset: bool = True,
        of: Settings | None = None,
        retries: RetryPolicy | None = None,
        **spec: Any,
    ) -> Bench:
        settings_ = of or settings
        name = unique_name("stage")
        sources = tuple(f"{name}.source{i}" for i in range(1 + followers))
        made = StageSpec(name, sources, tuple(map(TableSpec, tables)), frozenset({f"{name}.out"}), **spec)
        if retries is not None:
            made = made.retrying(retries)
            sources, tables = made.sources, tuple(table.name for table in made.tables)
        roles = {made.dead_letters: "dlq", f"{name}.out": "out"}
        roles |= dict.fromkeys(sources, "source") | {made.changelog(table): "changelog" for table in tables}
        admin = admin_client(settings_.bootstrap_servers())
        topics = [NewTopic(topic, partitions, 1, config=(configs or {}).get(role, {})) for topic, role in roles.items()]
        make_topics(admin, topics)
        if made.group_protocol == "consumer":
            configure_group(admin, made.group)
        if preset:
            starts = [TopicPartition(source, p, 0) for source in sources for p in range(partitions)]
            preset_offsets(admin, made.group, starts)
        return Bench(made, settings_, admin, partitions)

    return make


@pytest.fixture
def start_child(environment_of: Callable[[Settings], dict[str, str]], tmp_path: Path) -> Iterator[StartChild]:
    with child_starter(environment_of, tmp_path) as start:
        yield start


@pytest.fixture
def other_settings(settings_for: Callable[..., Settings], kafka: Kafka) -> Callable[..., Settings]:
    """Settings of one more worker on the same broker."""
    return lambda **more: settings_for(kafka.bootstrap_servers, **more)
