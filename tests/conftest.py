"""What all tests share: a real broker, started when the first test asks for it, as `headrace dev` starts it.

Fixtures:
    kafka: one broker for the whole run (or KAFKA_BOOTSTRAP_SERVERS); use `.bootstrap_servers`. Shared, so
        make your own topics and groups with `make_topic` and `unique_name`, and never stop it.
    kafka_cluster: a function that starts a cluster of the test's own: `cluster = kafka_cluster(brokers=3,
        heap_mb=512, overrides={...})`; a `streams.dev.cluster.KafkaCluster` with kill, restart, pause,
        resume, roll. It ends with the test.
    registry_url: an Apicurio for the whole run, as `headrace dev up --registry` starts it. Shared, so make your own
        subjects with `unique_name`, and never stop it.
    settings: `streams.config.Settings` for `kafka`, with its own state folder, instance id and web port.
    settings_for: a function that makes such settings for another broker or worker:
        `settings_for(bootstrap_servers, HEADRACE_INSTANCE_ID="w2")`.
    environment_of: a function that turns settings into the environment of a child process.
    make_topic: a function; `make_topic("orders", partitions=4, config={"cleanup.policy": "compact"})`
        returns the new topic's name.
    unique_name: a function: `unique_name("orders")` returns `orders-3f9c21b7`, for topics, stages, groups.
    free_port: a function that returns a port nobody listens on.
    kafka_tools: Kafka's own console tools: `kafka_tools.done("kafka-topics.sh", "--bootstrap-server", …)` returns
        what one printed, `kafka_tools(…)` its whole answer, `kafka_tools.bin` is a folder for PATH. Fetched by
        Maven once; skips the test where Java or Maven is missing.

Marker `soak`: full-size runs, left out unless chosen (`make soak`, or `pytest -m soak`).
"""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.distribution import Distribution
from streams.dev.ports import free_ports
from streams.dev.readiness import admin_client, await_condition
from streams.dev.registry import DevRegistry
from streams.errors import ConfigurationRefused
from tests.clients.programs import KafkaTools, client_programs, install_tools

# A slow machine is no failing property.
hypothesis.settings.register_profile("headrace", deadline=None)
hypothesis.settings.load_profile("headrace")

ROOT = Path(__file__).parents[1]
GIVEN_KAFKA = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")


class Kafka(Protocol):
    """What tests that share a broker need of it."""

    @property
    def bootstrap_servers(self) -> str: ...


@dataclass(frozen=True)
class ExistingKafka:
    """The broker of KAFKA_BOOTSTRAP_SERVERS, which somebody else started and stops."""

    bootstrap_servers: str


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in config.option.markexpr:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soaks)
    items[:] = [item for item in items if item not in soaks]


@pytest.fixture(scope="session", autouse=True)
def _environment_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of the person who runs the tests, nor their `headrace dev up`, is used by accident."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("HEADRACE_", "KAFKA_", "SCHEMA_REGISTRY_", "OTEL_")):
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("user-state")))
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    if GIVEN_KAFKA:
        yield ExistingKafka(GIVEN_KAFKA)
        return
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def kafka_cluster() -> Iterator[Callable[..., KafkaCluster]]:
    if GIVEN_KAFKA:
        pytest.skip("this test stops brokers, and KAFKA_BOOTSTRAP_SERVERS names one that is not ours")
    clusters: list[KafkaCluster] = []

    def start(brokers: int = 1, **options: Any) -> KafkaCluster:
        cluster = KafkaCluster(brokers, **options)
        clusters.append(cluster)
        return cluster.start()

    yield start
    for cluster in clusters:
        cluster.close()


@pytest.fixture(scope="session")
def registry_url() -> Iterator[str]:
    with DevRegistry() as registry:
        yield registry.url


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    def make(bootstrap_servers: str, **more: object) -> Settings:
        instance = f"test-{uuid.uuid4().hex[:8]}"
        given: dict[str, Any] = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "HEADRACE_INSTANCE_ID": instance,
            "HEADRACE_STATE_DIR": tmp_path / "state" / instance,
            "HEADRACE_WEB_PORT": free_ports(1)[0],
            "HEADRACE_TOPOLOGY": ROOT / "topology.yaml",
            "HEADRACE_SCHEMAS": ROOT / "schemas",
            **more,
        }
        return Settings(**given)

    return make


@pytest.fixture
def settings(kafka: Kafka, settings_for: Callable[..., Settings]) -> Settings:
    return settings_for(kafka.bootstrap_servers)


@pytest.fixture
def environment_of() -> Callable[[Settings], dict[str, str]]:
    def environment(settings: Settings) -> dict[str, str]:
        given = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {**os.environ, **{name: str(value) for name, value in given.items()}}

    return environment


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def free_port() -> Callable[[], int]:
    return lambda: free_ports(1)[0]


@pytest.fixture
def make_topic(kafka: Kafka, unique_name: Callable[[str], str]) -> Callable[..., str]:
    admin = admin_client(kafka.bootstrap_servers)

    def make(name: str = "topic", partitions: int = 4, config: dict[str, str] | None = None) -> str:
        topic = unique_name(name)
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
        admin.create_topics([new])[topic].result(timeout=30)

        def has_leaders() -> bool:
            known = admin.list_topics(topic, timeout=5).topics[topic].partitions.values()
            return len(known) == partitions and all(partition.leader >= 0 for partition in known)

        await_condition(has_leaders, 30, f"leaders of {topic}")
        return topic

    return make


@pytest.fixture(scope="session")
def client_jars() -> Distribution:
    try:
        return client_programs(print)
    except ConfigurationRefused as reason:
        pytest.skip(f"Kafka's tools and Java programs need Java 17 or newer, and Maven to fetch them: {reason}")


@pytest.fixture(scope="session")
def kafka_tools(client_jars: Distribution, tmp_path_factory: pytest.TempPathFactory) -> KafkaTools:
    return install_tools(client_jars, tmp_path_factory.mktemp("bin"))
