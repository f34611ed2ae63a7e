"""A transformer between signed topics: it checks, decrypts what it was granted, encrypts anew, and signs."""

import asyncio
from typing import Any

import pytest

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.encryption import Encryption
from streams.messages.registry import Registered
from streams.messages.signed import check_signatures
from streams.security.fields import Opener, Sealer
from streams.security.signatures import Signer, Verifier
from streams.topology.loading import parse_topology
from streams.transforming.chains import HopTimes
from streams.transforming.conversions import conversions_of
from streams.transforming.converters import Converters
from streams.transforming.transformer import CompiledTransformer, Workshop
from tests.unit.security.memory import RING, KeysInMemory
from tests.unit.transforming.partners import NOW, headers, message

ID = {"name": "id", "type": "string"}
TAGGED = {"type": "string", "confluent:tags": ["PII"]}
CONTRACTS = Contracts(
    [
        contract_from(
            {"type": "record", "name": name, "namespace": "people", "fields": [ID, {"name": field, **TAGGED}]}
        )
        for name, field in (("person", "email"), ("contact", "mail"))
    ]
)
REGISTERED = [Registered(each.subject, 1, n, each.schema) for n, each in enumerate(CONTRACTS, 1)]
TOPOLOGY = """version: 1
topics:
  people: {partitions: 4, contracts: [person]}
  orders: {partitions: 4, contracts: [contact]}
transformations: [{source: people, to: contact, destination: orders}]
security: {signed: [people, orders]}
"""
MAPPING = "mappings: [{from: person, to: contact, fields: {id: {from: id}, mail: {from: email}}}]\n"
CANARY = "canary@example.org"


class Secured:
    """The transformer, and a codec for each side that may read and make everything."""

    def __init__(self, granted: str, mapping: str = MAPPING, converters: Converters | None = None) -> None:
        self._keys = KeysInMemory()
        topology = parse_topology(TOPOLOGY + mapping, "topology.yaml", {})
        conversions = conversions_of(topology, CONTRACTS, converters or Converters())
        codec = self.codec(granted)
        workshop = Workshop(topology, conversions, codec, REGISTERED, lambda: NOW, lambda _: None, RING)
        self.compiled: CompiledTransformer = workshop.compile("people", topology.transformations)

    def codec(self, *granted: str) -> Codec:
        subjects = {"person": "payload.id", "contact": "payload.id"}
        opener = Opener(self._keys, frozenset(granted))
        return Codec(CONTRACTS, REGISTERED, Encryption(CONTRACTS, subjects, Sealer(self._keys), opener))

    def person(self, *, signed: bool = True) -> Any:
        value = self.codec().encode("person", {"id": "P-1", "email": CANARY}, "m-1")
        raw = headers("person")
        if signed:
            raw.append((names.SIGNATURE, Signer(RING).sign(b"P-7", dict(raw), value)))
        return message(value, raw, topic="people")


class Out:
    """What a transformer needs of a batch, and of a record's scope."""

    def __init__(self) -> None:
        self.partition = 1
        self.out: list[Any] = []

    def partitions_of(self, _topic: str) -> int:
        return 4


def awaiting() -> Converters:
    converters = Converters()

    @converters.register("person", "contact")
    async def to_contact(person: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"id": person["id"], "mail": person["email"]}

    return converters


def transformed(secured: Secured, record: Any) -> list[Any]:
    out = Out()
    if secured.compiled.is_async:
        handle: Any = secured.compiled.bind_async(out, HopTimes())
        asyncio.run(handle(record, out))
    else:
        secured.compiled.bind(out, HopTimes())(record)
    return out.out


@pytest.mark.parametrize("awaited", [False, True])
def test_a_tagged_field_is_encrypted_again_for_a_message_with_a_signature_of_its_own(*, awaited: bool) -> None:
    secured = Secured("people.person", "", awaiting()) if awaited else Secured("people.person")
    assert secured.compiled.is_async is awaited
    [(_, value, key, _, _, raw)] = transformed(secured, secured.person())
    assert CANARY.encode() not in value
    made_id = dict(raw)[names.ID].decode()
    assert secured.codec("people.contact").decode(value, message_id=made_id) == (
        "contact",
        {"id": "P-1", "mail": CANARY},
    )
    assert [name for name, _ in raw].count(names.SIGNATURE) == 1
    check_signatures(Verifier(RING))(message(value, raw, topic="orders", key=key))


@pytest.mark.parametrize("awaited", [False, True])
def test_a_message_without_a_valid_signature_is_refused(*, awaited: bool) -> None:
    secured = Secured("people.person", "", awaiting()) if awaited else Secured("people.person")
    with pytest.raises(InvalidMessage, match="x-message-signature"):
        transformed(secured, secured.person(signed=False))


def test_what_was_not_granted_cannot_be_copied() -> None:
    secured = Secured("people.contact")
    with pytest.raises(InvalidMessage, match="encrypted already"):
        transformed(secured, secured.person())
