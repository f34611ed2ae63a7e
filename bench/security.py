"""Encrypting and decrypting two tagged fields of an order, and signing and checking a message.

Run: `python bench/security.py`. Prints microseconds of one core a message, the best of seven rounds. The same order
without tags, its fields as long as encrypted ones are, is what encryption is measured against.
"""

import os
import time
import timeit
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.messages.codec import Codec
from streams.messages.contracts import Contracts, contract_from
from streams.messages.encryption import Encryption
from streams.messages.registry import Registered
from streams.security.data_keys import Ciphers, WrappedKeys, new_key
from streams.security.fields import Opener, Sealer
from streams.security.key_ring import KeyRing
from streams.security.signatures import HEADER, Signer, Verifier

PII = {"confluent:tags": ["PII"]}
RING = KeyRing("bench", {"bench": os.urandom(32)})
ROUNDS, CALLS = 7, 20_000


class OneWorker:
    """The data keys of a worker that has read the topic."""

    def __init__(self) -> None:
        self.keys = WrappedKeys()
        self.ciphers = Ciphers(RING, self.keys)
        for customer in range(1000):
            self.keys.take(*new_key(RING, f"C-{customer}", customer).record())

    def newest(self, subject: str) -> str:
        key = self.keys.newest(subject)
        if key is None:
            raise LookupError(subject)
        return key.kid

    def cipher(self, kid: str) -> AESGCM | None:
        return self.ciphers.of(kid)


def codec(*, tagged: bool) -> Codec:
    tags = PII if tagged else {}
    fields: list[dict[str, Any]] = [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": "string"},
        {"name": "email", "type": "string", **tags},
        {"name": "phone", "type": ["null", "string"], "default": None, **tags},
    ]
    contract = contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": fields})
    contracts, registered = Contracts([contract]), [Registered("shop.order", 1, 1, contract.schema)]
    if not tagged:
        return Codec(contracts, registered)
    keys = OneWorker()
    opener = Opener(keys, frozenset({"shop.order"}))
    return Codec(contracts, registered, Encryption(contracts, {"order": "payload.customer_id"}, Sealer(keys), opener))


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, timer=time.process_time, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    plain, sealing = codec(tagged=False), codec(tagged=True)
    message_id = "0b8f3c1e-8f0a-4c57-9d57-2f1f2f6a0c11"
    payload = {"order_id": "ORD-1", "customer_id": "C-7", "email": "someone@example.org", "phone": "+49 30 1234567"}
    value = sealing.encode("order", payload, message_id)
    as_long = plain.decode(value)[1]
    ways = {
        "encode, no tags": lambda: plain.encode("order", as_long),
        "encode, two encrypted fields": lambda: sealing.encode("order", payload, message_id),
        "decode, no tags": lambda: plain.decode(value),
        "decode, two encrypted fields": lambda: sealing.decode(value, message_id=message_id),
    }
    took = {name: microseconds(way) for name, way in ways.items()}
    for name, figure in took.items():
        print(f"  {name:32}{figure:8.2f}")
    for way in ("encode", "decode"):
        more = took[f"{way}, two encrypted fields"] - took[f"{way}, no tags"]
        print(f"{way}: two encrypted fields cost {more:.2f} us (at most 15 is wanted)")
    signer, verifier = Signer(RING), Verifier(RING)
    attributes: dict[str, bytes | None] = {
        "ce_id": message_id.encode(),
        "ce_type": b"order",
        "ce_source": b"headrace-send",
        "ce_time": b"2026-01-31T12:00:00.000000Z",
    }
    signed = [*attributes.items(), ("priority", b"high"), (HEADER, signer.sign(b"ORD-1", attributes, value))]
    sign = microseconds(lambda: signer.sign(b"ORD-1", attributes, value))
    check = microseconds(lambda: verifier.check(b"ORD-1", signed, value))
    print(
        f"a value of {len(value)} bytes: sign {sign:.2f} us, check {check:.2f} us, both {sign + check:.2f} (at most 8)"
    )


if __name__ == "__main__":
    main()
