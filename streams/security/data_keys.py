"""Data keys: one or more for each subject, kept on the topic `headrace.keys`, wrapped with a key of the ring.

Pure: what the records of the topic say and what they are made of; engine/key_topic.py reads and appends them.
docs/reference/security.md publishes their form. A record's key is `<subject>/<kid>`; its tombstone shreds.
"""

import base64
import binascii
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.errors import ConfigurationRefused, TransientError
from streams.security.key_ring import KeyRing
from streams.security.parts import join_parts

NONCE_BYTES = 12  # 96 bits, NIST SP 800-38D
_KID_BYTES = 16
_PURPOSE = b"headrace data key 1"
_REMEMBERED = 10_000  # unwrapped keys


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as the topic has it.

    Args:
        subject: whom it protects.
        kid: its id, never used twice.
        ring_key: id of the key of the ring that it is wrapped with.
        created_ms: unix time in milliseconds; the newest key of a subject encrypts.
        wrapped: nonce, ciphertext and tag.
    """

    subject: str
    kid: str
    ring_key: str
    created_ms: int
    wrapped: bytes

    @property
    def age(self) -> tuple[int, str]:
        """Greatest for the newest, the same on every worker: two made in one millisecond differ in kid."""
        return self.created_ms, self.kid

    def record(self) -> tuple[bytes, bytes]:
        """Key and value of the record on the topic."""
        value = {
            "ring_key": self.ring_key,
            "created_ms": self.created_ms,
            "wrapped": base64.b64encode(self.wrapped).decode(),
        }
        return record_key(self.subject, self.kid), json.dumps(value, separators=(",", ":")).encode()


def record_key(subject: str, kid: str) -> bytes:
    """Key of a data key's record, and of its tombstone."""
    return f"{subject}/{kid}".encode()


def read_record(key: bytes | None, value: bytes | None) -> tuple[str, str, WrappedKey | None]:
    """Subject, kid and key of a record of the topic; no key for a tombstone.

    Raises:
        ConfigurationRefused: it is no record of data keys.
    """
    try:
        subject, slash, kid = (key or b"").decode().rpartition("/")
        if not (subject and slash and kid):
            raise ValueError("its key is not <subject>/<kid>")  # noqa: TRY301 one message for all that is wrong
        if value is None:
            return subject, kid, None
        fields = json.loads(value)
        wrapped = base64.b64decode(fields["wrapped"], validate=True)
        return subject, kid, WrappedKey(subject, kid, str(fields["ring_key"]), int(fields["created_ms"]), wrapped)
    except (ValueError, LookupError, TypeError, RecursionError, binascii.Error) as error:
        shown = (key or b"").decode("utf-8", "backslashreplace")[:100]
        raise ConfigurationRefused(
            f"record {shown!r} on headrace.keys is no data key ({type(error).__name__}); "
            "nothing but Headrace may write to the topic; delete the record"
        ) from None


def new_key(ring: KeyRing, subject: str, now_ms: int, newest: WrappedKey | None = None) -> WrappedKey:
    """A new data key for a subject, wrapped with the ring's current key, newer than its `newest`."""
    kid = base64.urlsafe_b64encode(os.urandom(_KID_BYTES)).rstrip(b"=").decode()
    created_ms = now_ms if newest is None else max(now_ms, newest.created_ms + 1)
    return _wrap(ring, subject, kid, created_ms, AESGCM.generate_key(256))


def rewrapped(ring: KeyRing, key: WrappedKey) -> WrappedKey:
    """The same data key under the ring's current key.

    Raises:
        ConfigurationRefused: the ring cannot unwrap it.
    """
    try:
        return _wrap(ring, key.subject, key.kid, key.created_ms, unwrap(ring, key))
    except TransientError as error:
        raise ConfigurationRefused(str(error)) from None


def unwrap(ring: KeyRing, key: WrappedKey) -> bytes:
    """The data key itself.

    Raises:
        TransientError: the ring lacks the key that it is wrapped with, or has another under that id. A matter of the
            ring, not of the message that needs the key: it is mended by a ring, and then the message is read.
    """
    try:
        cipher = ring.wrapping_cipher(key.ring_key)
        return cipher.decrypt(key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:], _bound_to(key))
    except KeyError:
        raise TransientError(
            f"data key {key.kid} is wrapped with key {key.ring_key} of another ring; add that to the key ring"
        ) from None
    except (InvalidTag, ValueError):
        raise TransientError(
            f"data key {key.kid} does not unwrap with key {key.ring_key} of this ring: the key differs from the one it "
            "was wrapped with, or the record on headrace.keys was altered; restore whichever it is"
        ) from None


def _wrap(ring: KeyRing, subject: str, kid: str, created_ms: int, key: bytes) -> WrappedKey:
    bare = WrappedKey(subject, kid, ring.current, created_ms, b"")
    nonce = os.urandom(NONCE_BYTES)
    wrapped = nonce + ring.wrapping_cipher(ring.current).encrypt(nonce, key, _bound_to(bare))
    return WrappedKey(subject, kid, ring.current, created_ms, wrapped)


def _bound_to(key: WrappedKey) -> bytes:
    """Associated data: a record is worth nothing under another subject, kid, ring key or age."""
    texts = (key.subject, key.kid, key.ring_key, str(key.created_ms))
    return join_parts(_PURPOSE, *(text.encode() for text in texts))


class WrappedKeys:
    """Every data key on the topic so far, as the topic has it: to know them takes no key ring."""

    def __init__(self) -> None:
        self._by_kid: dict[str, WrappedKey] = {}
        self._by_subject: dict[str, tuple[WrappedKey, ...]] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._by_kid)

    def __iter__(self) -> Iterator[WrappedKey]:
        return iter(list(self._by_kid.values()))

    def take(self, key: bytes | None, value: bytes | None) -> str:
        """Take up one record of the topic; gives its kid.

        Raises:
            ConfigurationRefused: it is no record of data keys.
        """
        subject, kid, found = read_record(key, value)
        keys = [each for each in self._by_subject.get(subject, ()) if each.kid != kid]
        if found is None:
            self._by_kid.pop(kid, None)
        else:
            self._by_kid[kid] = found
            keys.append(found)
        if keys:
            self._by_subject[subject] = tuple(sorted(keys, key=_age))
        else:
            self._by_subject.pop(subject, None)
        return kid

    def find(self, kid: str) -> WrappedKey | None:
        """The key with this id."""
        return self._by_kid.get(kid)

    def newest(self, subject: str) -> WrappedKey | None:
        """The key that encrypts what is the subject's; None where it has none."""
        keys = self._by_subject.get(subject)
        return keys[-1] if keys else None

    def of(self, subject: str) -> tuple[WrappedKey, ...]:
        """All keys of a subject, oldest first."""
        return self._by_subject.get(subject, ())

    def subjects(self) -> list[str]:
        """Everybody who has a key."""
        return sorted(self._by_subject)


class Ciphers:
    """Data keys, unwrapped when first needed; for many threads. A key that is gone from the topic is forgotten."""

    def __init__(self, ring: KeyRing, keys: WrappedKeys) -> None:
        self._ring = ring
        self._keys = keys
        self._ciphers: dict[str, AESGCM] = {}

    def forget(self, kid: str) -> None:
        """To be called when a key has been shredded."""
        self._ciphers.pop(kid, None)

    def of(self, kid: str) -> AESGCM | None:
        """What encrypts and decrypts under a key; None where there is no such key.

        Raises:
            TransientError: the ring cannot unwrap it.
        """
        cipher = self._ciphers.get(kid)
        if cipher is not None:
            return cipher
        wrapped = self._keys.find(kid)
        if wrapped is None:
            return None
        cipher = AESGCM(unwrap(self._ring, wrapped))
        if len(self._ciphers) >= _REMEMBERED:
            self._ciphers.clear()
        self._ciphers[kid] = cipher
        if self._keys.find(kid) is None:  # shredded meanwhile, by the thread that follows the topic
            self.forget(kid)
            return None
        return cipher


def _age(key: WrappedKey) -> tuple[int, str]:
    return key.age
