"""A router whose source is a signed topic takes no message without a valid signature."""

import json
from collections import defaultdict
from typing import Any

import pytest

from streams.config import Settings
from streams.errors import InvalidMessage, UsageError
from streams.messages.contracts import Contracts
from streams.messages.message import Record
from streams.messages.signed import check_signatures
from streams.routing.lint import lint
from streams.routing.router import Matched, compile_router
from streams.routing.stage import router_specs, router_stage
from streams.security.signatures import HEADER, Signer, Verifier
from tests.unit.routing.shop import (
    NOW,
    ORDER,
    Batch,
    contract_of,
    contracts,
    headers,
    message,
    order,
    registered,
    topology,
)
from tests.unit.security.memory import RING, encoded

PII = {"confluent:tags": ["PII"]}
ROUTERS = """
security: {signed: [shop.inbound]}
routers: [{source: shop.inbound, routes: [{name: all, destinations: [{topic: standard}]}]}]
"""


def routed(record: Record) -> list[Any]:
    router = topology(ROUTERS).routers[0]
    check = check_signatures(Verifier(RING))
    compiled = compile_router(router, ("order",), contracts(), registered(), lambda: NOW, check=check)
    batch = Batch()
    matched: Matched = defaultdict(list)
    compiled.bind(batch, matched)(record)
    return batch.out


def test_a_signed_message_passes_with_its_signature() -> None:
    signature = Signer(RING).sign(b"ORD-1", dict(headers()), order())
    signed = [*headers(), (HEADER, signature)]
    assert [out[5] for out in routed(message(raw_headers=signed))] == [signed]


@pytest.mark.parametrize("signature", [None, b"", b"keyid=2026,alg=HS256,sig=" + b"A" * 43 + b"="])
def test_another_is_an_invalid_message(signature: bytes | None) -> None:
    raw = headers() if signature is None else [*headers(), (HEADER, signature)]
    with pytest.raises(InvalidMessage, match=HEADER):
        routed(message(raw_headers=raw))


def test_a_router_of_a_signed_topic_does_not_start_without_a_key_ring() -> None:
    found = topology(ROUTERS)
    spec = router_specs(found)[0]

    def start(**given: Any) -> None:
        router_stage(spec, found, contracts(), lambda: None, Settings(**given))  # type: ignore[arg-type, return-value]

    with pytest.raises(UsageError, match=r"checking the signatures of shop\.inbound needs a key ring"):
        start()
    keys = {key_id: encoded(key) for key_id, key in RING.keys.items()}
    start(HEADRACE_KEYRING_JSON=json.dumps({"current": "2026", "keys": keys}))


def test_a_condition_on_a_tagged_field_is_refused() -> None:
    fields = [{**each, **PII} if each["name"] == "note" else each for each in ORDER["fields"]]
    tagged = {**ORDER, "fields": fields}
    condition = "{field: payload.note, operator: exists, value: true}"
    text = ROUTERS.replace("name: all,", f"name: all, conditions: [{condition}],")
    found = lint(topology(text), Contracts([contract_of(tagged)]))
    assert [each.message for each in found] == [
        "'payload.note' is tagged PII; encrypted, and routers cannot decrypt; ask for another field"
    ]
