"""Signatures of messages: HMAC-SHA256 in the header `x-message-signature`, over key, four attributes and value.

Other headers may change on the way (priority, ttl, tracing) and are not covered. Pure; knows no Kafka.
"""

import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from streams.errors import InvalidMessage
from streams.security.key_ring import KEY_ID, KeyRing
from streams.security.parts import join_parts

HEADER = "x-message-signature"
COVERED = ("ce_id", "ce_type", "ce_source", "ce_time")  # in the order in which they are signed
_GUARDED = (HEADER, *COVERED)
_BASE64 = 44  # characters of 32 bytes
_FORM = re.compile(rb"keyid=(%b),alg=HS256,sig=[A-Za-z0-9+/]{43}=" % KEY_ID.pattern.encode())

Headers = Sequence[tuple[str, bytes | None]]


class Signer:
    """Signs with the current key of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._mac = _mac_of(ring, ring.current)
        self._prefix = _prefix(ring.current)

    def sign(self, key: bytes | None, attributes: Mapping[str, bytes | None], value: bytes | None) -> bytes:
        """Value of the header `x-message-signature`; `attributes` are the ce_ headers by name."""
        return self._prefix + _signature(self._mac, key, attributes, value)


class Verifier:
    """Says whether messages carry a valid signature by any key of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._macs = {_prefix(key_id): _mac_of(ring, key_id) for key_id in ring.keys}

    def check(self, key: bytes | None, headers: Headers, value: bytes | None) -> None:
        """Refuse a message whose signature is missing, of another form, by an unknown key, or wrong.

        Raises:
            InvalidMessage: it is.
        """
        found = dict(headers)
        if len(found) != len(headers):
            _refuse_repeated(headers)
        signature = found.get(HEADER)
        if signature is None:
            raise InvalidMessage(f"header {HEADER} is missing; messages of this topic must be signed")
        mac = self._macs.get(signature[:-_BASE64])
        if mac is None:
            raise InvalidMessage(_strange(signature))
        # Texts are compared, not bytes: so only one spelling of a signature is valid.
        if not hmac.compare_digest(_signature(mac, key, found, value), signature[-_BASE64:]):
            raise InvalidMessage(f"header {HEADER}: wrong signature; the message was altered, or the key is another")


def _prefix(key_id: str) -> bytes:
    return b"keyid=%b,alg=HS256,sig=" % key_id.encode()


def _mac_of(ring: KeyRing, key_id: str) -> HMAC:
    """HMAC-SHA256 with nothing in it yet; a copy of it costs half of what a new one does."""
    return HMAC(ring.keys[key_id], SHA256())


def _signature(mac: HMAC, key: bytes | None, attributes: Mapping[str, bytes | None], value: bytes | None) -> bytes:
    copy = mac.copy()
    copy.update(join_parts(key, *map(attributes.get, COVERED), value))
    return binascii.b2a_base64(copy.finalize(), newline=False)


def _refuse_repeated(headers: Headers) -> None:
    """Of two headers of one name nobody can tell which is meant."""
    named = [name for name, _ in headers if name in _GUARDED]
    for name in named:
        if named.count(name) > 1:
            raise InvalidMessage(f"header {name} comes twice; a signed message has it once")


def _strange(signature: bytes) -> str:
    form = _FORM.fullmatch(signature)
    if form is None:
        return f"header {HEADER}: expected keyid=<id>,alg=HS256,sig=<32 bytes in base64>, got another form"
    return f"header {HEADER}: key {form[1].decode()} is not in the key ring"
