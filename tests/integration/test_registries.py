"""What every registry promises, on the catalogue topic of a real broker and on a real Apicurio alike."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from streams.config import Settings
from streams.engine.catalogue import CatalogueRegistry
from streams.engine.registries import open_registry
from streams.errors import FindingsFound
from streams.messages.codec import Codec
from streams.messages.contracts import Contract, Contracts, contract_from
from streams.messages.registry import Registered, Registry

MakeContract = Callable[..., Contract]
Open = Callable[[], Registry]


@pytest.fixture(params=["catalogue", "http"])
def settings(request: pytest.FixtureRequest, kafka: Any, settings_for: Callable[..., Settings]) -> Settings:
    if request.param == "catalogue":
        return settings_for(kafka.bootstrap_servers)
    url = request.getfixturevalue("registry_url")
    return settings_for(kafka.bootstrap_servers, SCHEMA_REGISTRY_URL=url)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    # Unchecked: tests of this run share a broker, but not its catalogue with this Apicurio.
    with closing(open_registry(settings, checked=False)) as opened:
        yield opened


@pytest.fixture
def contract() -> MakeContract:
    """Contracts of a namespace of the test's own, for registries are shared."""
    namespace = f"test_{uuid.uuid4().hex[:8]}"

    def make(name: str, *more: dict[str, Any]) -> Contract:
        fields = [{"name": "order_id", "type": "string"}, *more]
        return contract_from({"type": "record", "name": name, "namespace": namespace, "fields": fields})

    return make


def optional(name: str) -> dict[str, Any]:
    return {"name": name, "type": ["null", "string"], "default": None}


def required(name: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "type": kind}


def of(subject: str, registry: Registry) -> list[Registered]:
    return [each for each in registry.all() if each.subject == subject]


def test_a_contract_gets_an_id_a_new_version_another_and_the_same_schema_the_same(
    settings: Settings, registry: Registry, contract: MakeContract
) -> None:
    order, newer = contract("order"), contract("order", optional("note"))
    first, second = registry.register(order), registry.register(newer)
    other = registry.register(contract("customer"))
    assert [(each.subject, each.version) for each in (first, second)] == [(order.subject, 1), (order.subject, 2)]
    assert len({first.id, second.id, other.id}) == 3
    assert registry.register(order) == first
    with closing(open_registry(settings, checked=False)) as again:
        assert of(order.subject, again) == [first, second]
        assert again.register(newer) == second


def test_versions_are_found_by_id_and_by_guid(registry: Registry, contract: MakeContract) -> None:
    first, second = registry.register(contract("order")), registry.register(contract("order", optional("note")))
    for each in (first, second):
        assert registry.by_id(each.id) == each
        found = registry.by_guid(next(known.guid for known in registry.all() if known.id == each.id))
        assert found == each
    assert registry.by_id(2_000_000_000) is None
    assert registry.by_guid(uuid.uuid4().bytes) is None


def test_what_is_registered_can_be_written_and_read(registry: Registry, contract: MakeContract) -> None:
    old, new = contract("order"), contract("order", optional("note"))
    registry.register(old)
    written = Codec(Contracts([old]), registry.all()).encode(old.full_name, {"order_id": "ORD-1"})
    registry.register(new)
    assert Codec(Contracts([new]), registry.all()).decode(written) == ("order", {"order_id": "ORD-1", "note": None})


def test_an_incompatible_version_is_refused_by_field_and_changes_nothing(
    registry: Registry, contract: MakeContract
) -> None:
    order = registry.register(contract("order", required("count", "long")))
    with pytest.raises(FindingsFound) as refused:
        registry.register(contract("order", required("count", "int"), required("customer")))
    assert str(refused.value).splitlines() == [
        "order.count: type long cannot be read as int; add a new field instead (version 1)",
        "order.customer: new field without a default; older messages lack it, give it a default (version 1)",
    ]
    assert of(order.subject, registry) == [order]


def test_every_version_counts_not_only_the_last(registry: Registry, contract: MakeContract) -> None:
    registry.register(contract("order", required("count", "long")))
    registry.register(contract("order"))
    with pytest.raises(FindingsFound, match=r"^order\.count: type long cannot be read as string.*\(version 1\)$"):
        registry.register(contract("order", {"name": "count", "type": "string", "default": ""}))


def test_of_versions_that_exclude_each_other_one_is_registered_and_the_others_are_told_the_field(
    settings: Settings, registry: Registry, contract: MakeContract
) -> None:
    first = registry.register(contract("order"))
    rivals = [contract("order", {**optional("note"), "type": ["null", kind]}) for kind in ("int", "boolean", "bytes")]
    ready = threading.Barrier(len(rivals))

    def register(rival: Contract) -> Registered | str:
        with closing(open_registry(settings, checked=False)) as own:
            ready.wait(30)
            try:
                return own.register(rival)
            except FindingsFound as findings:
                return str(findings)

    with ThreadPoolExecutor(len(rivals)) as pool:
        came_out = list(pool.map(register, rivals))
    stood = [each for each in came_out if isinstance(each, Registered)]
    refused = [each for each in came_out if isinstance(each, str)]
    assert len(stood) == 1
    assert [line.split(":")[0] for line in refused] == ["order.note", "order.note"]
    assert of(first.subject, registry) == [first, *stood]


def test_the_catalogue_records_what_a_registry_over_http_gave(
    kafka: Any, settings_for: Callable[..., Settings], registry_url: str, contract: MakeContract
) -> None:
    """On a broker that others fill too: only what was given in this test is looked at."""
    settings = settings_for(kafka.bootstrap_servers, SCHEMA_REGISTRY_URL=registry_url)
    with closing(open_registry(settings, checked=False)) as http, closing(CatalogueRegistry(settings)) as catalogue:
        beyond = max((each.id for each in catalogue.all()), default=0)
        while http.register(contract(f"filler_{uuid.uuid4().hex[:8]}")).id <= beyond:
            pass
        given = [http.register(contract("order")), http.register(contract("order", optional("note")))]
        catalogue.record(given)
        catalogue.record(given)
        assert of(given[0].subject, catalogue) == given
        later = catalogue.register(contract("order", optional("note"), optional("other")))
        assert (later.version, later.id) == (3, given[1].id + 1)
