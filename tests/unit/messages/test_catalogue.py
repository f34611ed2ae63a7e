"""The rules of the catalogue: one id a schema, one schema an id, nothing that older messages do not survive."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigurationRefused, FindingsFound
from streams.messages.catalogue import Catalogue, record_of
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
