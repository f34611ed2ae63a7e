"""The rules of the catalogue: one id a schema, one schema an id, nothing that older messages do not survive."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigurationRefused, FindingsFound
from streams.messages.catalogue import Catalogue, record_of, refuse_lost_ids
from streams.messages.contracts import Contract, contract_from
from streams.messages.registry import Registered


def contract(name: str, *optional: str) -> Contract:
    fields: list[dict[str, Any]] = [{"name": each, "type": ["null", "string"], "default": None} for each in optional]
    return contract_from({"type": "record", "name": name, "namespace": "shop", "fields": fields})


def register(catalogue: Catalogue, wanted: Contract) -> Registered:
    known = catalogue.find(wanted)
    if known is not None:
        return known
    entry = catalogue.next_version(wanted)
    catalogue.take(*record_of(entry))
    return entry


@given(st.lists(st.tuples(st.sampled_from(["order", "customer"]), st.sets(st.sampled_from("abc"))), max_size=20))
def test_ids_and_schemas_belong_to_each_other(wanted: list[tuple[str, set[str]]]) -> None:
    catalogue, records = Catalogue(), []
    given_ids: dict[tuple[str, frozenset[str]], int] = {}
    for name, fields in wanted:
        entry = register(catalogue, contract(name, *sorted(fields)))
        records.append(record_of(entry))
        assert given_ids.setdefault((name, frozenset(fields)), entry.id) == entry.id
    assert sorted(given_ids.values()) == list(range(1, len(given_ids) + 1))
    restored = Catalogue()
    for record in records:
        restored.take(*record)
    assert restored.all() == catalogue.all()


def test_an_incompatible_version_is_refused_naming_version_and_field() -> None:
    catalogue = Catalogue()
    register(catalogue, contract("order"))
    fields = [{"name": "total", "type": "int"}]
    breaking = contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": fields})
    with pytest.raises(FindingsFound, match=r"order\.total: new field without a default.*\(version 1\)"):
        catalogue.next_version(breaking)


@pytest.mark.parametrize(
    "value", [None, b"", b"hello", b"[]", b"{}", b'{"subject":"a","version":1,"id":1,"schema":[]}']
)
def test_a_foreign_record_is_refused(value: bytes | None) -> None:
    with pytest.raises(ConfigurationRefused, match="record 'k' is no entry"):
        Catalogue().take(b"k", value)


def test_an_id_for_two_schemas_is_refused() -> None:
    catalogue = Catalogue()
    entry = register(catalogue, contract("order"))
    with pytest.raises(ConfigurationRefused, match=r"gives id 1 to shop\.order/1 and to shop\.customer/1"):
        catalogue.take(*record_of(Registered("shop.customer", 1, entry.id, contract("customer").schema)))


def catalogue_of(*entries: Registered) -> Catalogue:
    catalogue = Catalogue()
    for entry in entries:
        catalogue.take(*record_of(entry))
    return catalogue


def version(name: str, number: int, schema_id: int, *optional: str, guid: bytes = b"") -> Registered:
    made = contract(name, *optional)
    return Registered(made.subject, number, schema_id, made.schema, guid)


def test_ids_of_a_registry_over_http_are_recorded_with_their_guids_and_the_next_id_is_beyond_them() -> None:
    theirs = [version("order", 1, 40, guid=bytes(16)), version("order", 2, 41, "a")]
    catalogue = catalogue_of(*Catalogue().lacking(theirs))
    assert catalogue.all() == theirs
    assert catalogue.by_guid(bytes(16)) == theirs[0]
    assert catalogue.lacking(theirs) == []
    assert catalogue.next_version(contract("order", "b")).id == 42


def test_a_number_of_a_version_that_is_taken_is_replaced_so_that_compaction_keeps_both() -> None:
    catalogue = catalogue_of(version("order", 1, 1), version("order", 2, 2, "a"))
    [recorded] = catalogue.lacking([version("order", 1, 1), version("order", 2, 9, "b")])
    assert (recorded.id, recorded.version) == (9, 3)


def test_an_id_that_means_something_else_is_not_recorded() -> None:
    catalogue = catalogue_of(version("order", 1, 1))
    with pytest.raises(ConfigurationRefused, match=r"id 1 is shop\.order/1 on this cluster and shop\.customer/1"):
        catalogue.lacking([version("customer", 1, 1)])


def test_a_registry_that_has_the_ids_in_use_is_taken_whatever_its_numbers_of_versions() -> None:
    recorded = [version("order", 1, 1), version("order", 2, 2, "a")]
    refuse_lost_ids(recorded, [version("order", 7, 2, "a"), version("order", 1, 1), version("other", 1, 3)], "http://r")
    refuse_lost_ids([], [], "http://r")


@pytest.mark.parametrize(
    "held",
    [
        [version("order", 1, 1)],
        [version("order", 1, 1), version("order", 2, 3, "a")],
        [version("order", 1, 1), version("order", 2, 2, "b")],
        [version("order", 1, 1), version("customer", 1, 2)],
    ],
    ids=["missing", "under another id", "another schema", "another subject"],
)
def test_a_registry_that_lacks_an_id_in_use_is_refused_in_one_line_that_says_what_to_do(held: list[Registered]) -> None:
    recorded = [version("order", 1, 1), version("order", 2, 2, "a")]
    with pytest.raises(ConfigurationRefused) as refused:
        refuse_lost_ids(recorded, held, "http://r")
    line = str(refused.value)
    assert "\n" not in line
    for part in ("http://r", "2 (shop.order/2)", "import", "unset SCHEMA_REGISTRY_URL"):
        assert part in line
    assert "shop.order/1)" not in line


def test_many_lost_ids_are_counted() -> None:
    recorded = [version("order", number, number, f"f{number}") for number in range(1, 15)]
    with pytest.raises(ConfigurationRefused, match=r"10 \(shop\.order/10\) and 4 more"):
        refuse_lost_ids(recorded, [], "http://r")
