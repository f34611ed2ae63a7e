"""Fixtures: `bus`, with a worker that runs; `java`, our Java programs; `sent`, what one of them sent."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.distribution import Distribution
from streams.dev.ports import free_ports
from tests.clients.bus import HERE, ROOT, Bus
from tests.clients.java_programs import JavaPrograms, compile_programs

ORDERS = 48
# Kafka's default. A broker on a busy machine misses the short one, which serves brokers that are killed and restarted.
PATIENT = {"broker.session.timeout.ms": "9000"}


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """Of its own, for documented commands name the topics of the example domain."""
    folder = tmp_path_factory.mktemp("bus")
    with KafkaCluster(overrides=PATIENT) as cluster:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "HEADRACE_INSTANCE_ID": f"test-{uuid.uuid4().hex[:8]}",
            "HEADRACE_STATE_DIR": str(folder / "state"),
            "HEADRACE_WEB_PORT": str(free_ports(1)[0]),
            "HEADRACE_TOPOLOGY": str(HERE / "topology.yaml"),
            "HEADRACE_SCHEMAS": str(ROOT / "schemas"),
        }
        given: dict[str, Any] = dict(environment)
        bus = Bus(Settings(**given), environment, folder)
        applied = bus.headrace("topology", "apply")
        assert applied.returncode == 0, applied.stderr
        bus.start_worker()
        try:
            yield bus
        finally:
            bus.stop_worker()


@pytest.fixture(scope="session")
def java(client_jars: Distribution, tmp_path_factory: pytest.TempPathFactory) -> JavaPrograms:
    return compile_programs(client_jars, tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="session")
def sent(bus: Bus, java: JavaPrograms) -> list[dict[str, Any]]:
    """Orders that a Java producer sent to orders.inbound, as it tells of them."""
    return java.run("SendOrders", bus.bootstrap_servers, "orders.inbound", str(ORDERS))
