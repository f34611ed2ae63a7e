"""The codec makes no message with a tagged field in the clear, and opens what the stage was granted."""

from typing import Any

import pytest

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.codec import Codec
from streams.messages.contracts import Contract, Contracts, contract_from
from streams.messages.encryption import Encryption
from streams.messages.registry import Registered
from streams.security.fields import Opener, Sealer, ShreddedField
from tests.unit.security.memory import KeysInMemory

PII = {"confluent:tags": ["PII"]}
CANARY = "canary@example.org"
ID = {"name": "order_id", "type": "string"}
CUSTOMER = {"name": "customer_id", "type": ["null", "string", "long"], "default": None}
EMAIL = {"name": "email", "type": "string", **PII}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}


def order(*fields: dict[str, Any]) -> Contract:
    return contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": list(fields)})


OLD = order(ID, CUSTOMER, EMAIL)
NEW = order(
    ID,
    CUSTOMER,
    {**EMAIL, "name": "contact", "aliases": ["email"]},
    {"name": "total", "type": MONEY, "default": "\u0001"},
)
VERSIONS = [Registered("shop.order", n, n, each.schema) for n, each in enumerate((OLD, NEW), 1)]


def codec(newest: Contract, keys: KeysInMemory, *granted: str, as_null: bool = False, **more: Any) -> Codec:
    contracts = Contracts([newest])
    opener = Opener(keys, frozenset(granted), shredded_as_null=as_null)
    given = {"subjects": {"order": "payload.customer_id"}, "sealer": Sealer(keys), "opener": opener, **more}
    return Codec(contracts, VERSIONS, Encryption(contracts, **given))


def payload(customer: object = "C-7") -> dict[str, Any]:
    return {"order_id": "ORD-1", "customer_id": customer, "email": CANARY}


def test_the_plaintext_is_not_in_the_value_and_the_granted_stage_reads_it() -> None:
    keys = KeysInMemory()
    value = codec(OLD, keys).encode("order", payload(), "m-1")
    assert CANARY.encode() not in value
    assert codec(OLD, keys, "shop.order").decode(value, message_id="m-1") == ("order", payload())


def test_a_stage_without_a_grant_gets_the_encrypted_form_and_cannot_pass_it_off() -> None:
    keys = KeysInMemory()
    stage = codec(OLD, keys)
    _, read = stage.decode(stage.encode("order", payload(), "m-1"), message_id="m-1")
    assert read["email"].startswith("hr1:")
    with pytest.raises(InvalidMessage, match="encrypted already"):
        stage.encode("order", read, "m-2")


def test_a_message_opens_under_no_other_id() -> None:
    keys = KeysInMemory()
    stage = codec(OLD, keys, "shop.order")
    value = stage.encode("order", payload(), "m-1")
    with pytest.raises(InvalidMessage, match="email: does not decrypt as this field of order m-2"):
        stage.decode(value, message_id="m-2")
    with pytest.raises(ConfigurationRefused, match="needs the id of each order"):
        stage.decode(value)


def test_a_version_whose_field_had_another_name_is_opened_as_it_was_written() -> None:
    keys = KeysInMemory()
    value = codec(OLD, keys).encode("order", payload(), "m-1")
    name, read = codec(NEW, keys, "shop.order").decode(value, message_id="m-1")
    assert (name, read["contact"]) == ("order", CANARY)


def test_a_version_that_did_not_tag_the_field_is_read_as_it_was_written() -> None:
    untagged = order(ID, CUSTOMER, {"name": "email", "type": "string"})
    versions = [Registered("shop.order", 1, 1, untagged.schema), Registered("shop.order", 2, 2, OLD.schema)]
    value = Codec(Contracts([untagged]), versions).encode("order", payload())
    keys, contracts = KeysInMemory(), Contracts([OLD])
    opener = Opener(keys, frozenset({"shop.order"}))
    read = Codec(contracts, versions, Encryption(contracts, {}, None, opener)).decode(value, message_id="m-1")
    assert read == ("order", payload())


def test_each_subject_has_its_own_key_numbers_included() -> None:
    keys = KeysInMemory()
    stage = codec(OLD, keys)
    for customer in ("C-7", 7, "C-7"):
        stage.encode("order", payload(customer), "m-1")
    assert keys.wrapped.subjects() == ["7", "C-7"]


@pytest.mark.parametrize("customer", [None, ""])
def test_without_a_subject_there_is_no_message(customer: object) -> None:
    with pytest.raises(InvalidMessage, match=r"payload\.customer_id: expected the subject.*got nothing") as refused:
        codec(OLD, KeysInMemory()).encode("order", payload(customer), "m-1")
    assert CANARY not in str(refused.value)


def test_without_keys_or_a_declared_subject_there_is_no_message() -> None:
    keys = KeysInMemory()
    with pytest.raises(ConfigurationRefused, match="order tags email, which must be encrypted; set HEADRACE_KEYRING"):
        codec(OLD, keys, sealer=None).encode("order", payload(), "m-1")
    with pytest.raises(ConfigurationRefused, match="HEADRACE_KEYRING"):
        Codec(Contracts([OLD]), VERSIONS).encode("order", payload(), "m-1")
    with pytest.raises(ConfigurationRefused, match="no subject; add security"):
        codec(OLD, keys, subjects={}).encode("order", payload(), "m-1")


def test_what_was_shredded_is_refused_or_null_as_the_stage_chose() -> None:
    keys = KeysInMemory()
    value = codec(OLD, keys).encode("order", payload(), "m-1")
    keys.shred("C-7")
    with pytest.raises(ShreddedField, match="email"):
        codec(OLD, keys, "shop.order").decode(value, message_id="m-1")
    assert codec(OLD, keys, "shop.order", as_null=True).decode(value, message_id="m-1")[1]["email"] is None


def test_an_older_version_without_null_is_refused_when_it_was_shredded() -> None:
    keys = KeysInMemory()
    value = codec(OLD, keys).encode("order", payload(), "m-1")
    keys.shred("C-7")
    with pytest.raises(ShreddedField, match=r"older version of shop\.order"):
        codec(NEW, keys, "shop.order", as_null=True).decode(value, message_id="m-1")
