"""Data keys as the topic has them, without a topic: what a worker that has read all of it knows."""

import base64

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.security.data_keys import Ciphers, WrappedKeys, new_key
from streams.security.key_ring import KeyRing

RING = KeyRing("2026", {"2025": bytes(range(32)), "2026": bytes(range(32, 64))})


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


class KeysInMemory:
    """As engine/key_topic.py, for one worker and no other."""

    def __init__(self, ring: KeyRing = RING) -> None:
        self.ring = ring
        self.wrapped = WrappedKeys()
        self._ciphers = Ciphers(ring, self.wrapped)

    def newest(self, subject: str) -> str:
        key = self.wrapped.newest(subject)
        if key is None:
            key = new_key(self.ring, subject, now_ms=1)
            self.wrapped.take(*key.record())
        return key.kid

    def cipher(self, kid: str) -> AESGCM | None:
        return self._ciphers.of(kid)

    def shred(self, subject: str) -> None:
        for key in self.wrapped.of(subject):
            self._ciphers.forget(self.wrapped.take(key.record()[0], None))
