"""The catalogue topic on a real broker: ids stay unique whoever registers, and readers see what was committed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Producer  # noqa: TID251 a writer that is not ours
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import await_condition
from streams.engine.catalogue import CatalogueRegistry
from streams.engine.registries import open_registry
from streams.errors import ConfigurationRefused, FindingsFound, NotReachable
from streams.messages.contracts import Contract, contract_from
from streams.topology.names import SCHEMAS_TOPIC, SCHEMAS_TRANSACTIONAL_ID


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaCluster]:
    """A broker of this module's own: the catalogue has one name, and these tests need it empty."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def settings(broker: KafkaCluster, settings_for: Callable[..., Settings]) -> Settings:
    made = settings_for(broker.bootstrap_servers)
    admin = AdminClient({**made.kafka_config()})
    if SCHEMAS_TOPIC in admin.list_topics(timeout=10).topics:
        admin.delete_topics([SCHEMAS_TOPIC])[SCHEMAS_TOPIC].result(30)
        await_condition(lambda: SCHEMAS_TOPIC not in admin.list_topics(timeout=10).topics, 30, "an empty catalogue")
    return made


def contract(name: str, *more: dict[str, Any]) -> Contract:
    fields = [{"name": "order_id", "type": "string"}, *more]
    return contract_from({"type": "record", "name": name, "namespace": "shop", "fields": fields})


def optional(name: str) -> dict[str, Any]:
    return {"name": name, "type": ["null", "string"], "default": None}


def test_an_empty_cluster_has_no_versions_and_reading_makes_no_topic(settings: Settings) -> None:
    assert open_registry(settings).all() == []
    assert SCHEMAS_TOPIC not in AdminClient({**settings.kafka_config()}).list_topics(timeout=10).topics


def test_a_contract_gets_an_id_a_new_version_another_and_the_same_schema_the_same(settings: Settings) -> None:
    registry = CatalogueRegistry(settings)
    first = registry.register(contract("order"))
    second = registry.register(contract("order", optional("note")))
    other = registry.register(contract("customer"))

    assert [(each.subject, each.version, each.id) for each in (first, second, other)] == [
        ("shop.order", 1, 1),
        ("shop.order", 2, 2),
        ("shop.customer", 1, 3),
    ]
    again = CatalogueRegistry(settings)
    assert again.register(contract("order")) == first
    assert again.all() == [other, first, second]
    assert again.by_id(2) == second
    assert again.by_id(99) is None


def test_the_topic_is_compacted_and_has_one_partition(settings: Settings) -> None:
    CatalogueRegistry(settings).register(contract("order"))
    admin = AdminClient({**settings.kafka_config()})
    assert len(admin.list_topics(timeout=10).topics[SCHEMAS_TOPIC].partitions) == 1
    resource = ConfigResource(ConfigResource.Type.TOPIC, SCHEMAS_TOPIC)
    assert admin.describe_configs([resource])[resource].result()["cleanup.policy"].value == "compact"


def test_an_incompatible_version_is_refused_by_field(settings: Settings) -> None:
    registry = CatalogueRegistry(settings)
    registry.register(contract("order"))
    with pytest.raises(FindingsFound, match=r"^order\.customer: new field without a default.*\(version 1\)$"):
        registry.register(contract("order", {"name": "customer", "type": "string"}))
    assert [each.version for each in registry.all()] == [1]


def test_concurrent_registrars_give_every_schema_one_id(settings: Settings) -> None:
    contracts = [contract(f"type_{number}") for number in range(6)]

    def register(turn: int) -> list[tuple[str, int]]:
        registry = CatalogueRegistry(settings)
        mine = contracts[turn:] + contracts[:turn]
        return [(each.subject, registry.register(each).id) for each in mine]

    with ThreadPoolExecutor(4) as pool:
        given = [pair for pairs in pool.map(register, range(4)) for pair in pairs]

    distinct = set(given)
    assert len(distinct) == len(contracts), "a schema with two ids"
    assert {schema_id for _, schema_id in distinct} == set(range(1, len(contracts) + 1)), "an id given twice"
    assert {(each.subject, each.id) for each in CatalogueRegistry(settings).all()} == distinct


REGISTER = """
import json, sys
from streams.config import Settings
from streams.engine.catalogue import CatalogueRegistry
from streams.messages.contracts import contract_from
registry = CatalogueRegistry(Settings())
for number in json.loads(sys.argv[1]):
    fields = [{"name": "order_id", "type": "string"}]
    contract = contract_from({"type": "record", "name": f"type_{number}", "namespace": "shop", "fields": fields})
    registered = registry.register(contract)
    print(registered.subject, registered.id)
"""


def test_concurrent_processes_agree_on_ids(
    settings: Settings, environment_of: Callable[[Settings], dict[str, str]]
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, json.dumps(numbers)],
            env=environment_of(settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        for numbers in ([0, 1, 2, 3], [3, 2, 1, 0])
    ]
    given = [line for process in processes for line in process.communicate(timeout=90)[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(given) == 8
    assert len(set(given)) == 4
    assert len({line.split()[1] for line in given}) == 4


def test_a_writer_that_never_finished_is_fenced_and_its_record_never_counts(settings: Settings) -> None:
    registry = CatalogueRegistry(settings)
    registry.register(contract("order"))
    stuck = Producer({**settings.kafka_config(), "transactional.id": SCHEMAS_TRANSACTIONAL_ID})
    stuck.init_transactions(10)
    stuck.begin_transaction()
    stuck.produce(SCHEMAS_TOPIC, b'{"subject":"shop.ghost","version":1,"id":2,"schema":{}}', b"shop.ghost/1", 0)
    stuck.flush(10)

    assert registry.register(contract("customer")).id == 2
    assert [each.subject for each in registry.all()] == ["shop.customer", "shop.order"]


def test_readers_do_not_wait_for_an_open_transaction(settings: Settings) -> None:
    registry = CatalogueRegistry(settings)
    order = registry.register(contract("order"))
    stuck = Producer({**settings.kafka_config(), "transactional.id": SCHEMAS_TRANSACTIONAL_ID})
    stuck.init_transactions(10)
    stuck.begin_transaction()
    stuck.produce(SCHEMAS_TOPIC, b"{}", b"shop.ghost/1", 0)
    stuck.flush(10)
    assert registry.all() == [order]
    stuck.abort_transaction(10)


def test_a_foreign_record_is_named(settings: Settings) -> None:
    registry = CatalogueRegistry(settings)
    registry.register(contract("order"))
    producer = Producer({**settings.kafka_config()})
    producer.produce(SCHEMAS_TOPIC, b"hello", b"who", 0)
    producer.flush(10)
    with pytest.raises(ConfigurationRefused, match="record 'who' is no entry of a catalogue"):
        registry.all()


def test_a_topic_of_several_partitions_is_refused(settings: Settings) -> None:
    admin = AdminClient({**settings.kafka_config()})
    admin.create_topics([NewTopic(SCHEMAS_TOPIC, num_partitions=3, replication_factor=1)])[SCHEMAS_TOPIC].result(30)
    with pytest.raises(ConfigurationRefused, match="has 3 partitions"):
        CatalogueRegistry(settings).register(contract("order"))


def test_a_broker_that_is_not_there_is_not_reachable(
    settings_for: Callable[..., Settings], free_port: Callable[[], int]
) -> None:
    with pytest.raises(NotReachable, match="no Kafka at"):
        open_registry(settings_for(f"127.0.0.1:{free_port()}"))
