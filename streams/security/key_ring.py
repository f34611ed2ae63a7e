"""The key ring: the keys that Headrace is given, each under an id, one of them current.

Everything new is signed and wrapped with the current key; what was made with the others stays readable as long as
they are in the ring. Data keys are wrapped with a key derived from the ring's (HKDF), for one key should have one use:
the ring's own makes signatures. Whoever has a key of the ring has both; so partners get keys that are never current.
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from streams.config import Settings
from streams.errors import UsageError

KEY_BYTES = 32  # AES-256; HS256 needs as many (RFC 7518, section 3.2)
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # stands in a header, before a comma
_LARGEST_FILE = 64 * 1024  # bytes; some 800 keys
_WRAPPING = b"headrace key-encryption key"
_EXPECTED = '{"current": "<id>", "keys": {"<id>": "<32 bytes in base64>"}}'


@dataclass(frozen=True)
class KeyRing:
    """Keys of 32 bytes by id; `current` is the id of the one that new things are made with."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrapping_cipher(self, key_id: str) -> AESGCM:
        """The key-encryption key under this id.

        Raises:
            KeyError: the ring has no such key.
        """
        derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_WRAPPING)
        return AESGCM(derive.derive(self.keys[key_id]))


def load_key_ring(settings: Settings) -> KeyRing | None:
    """The ring of HEADRACE_KEYRING (a file) or HEADRACE_KEYRING_JSON; None where neither is set.

    Raises:
        UsageError: both are set, others may read the file, or it holds no ring. No message quotes a key.
    """
    text = settings.keyring_json.get_secret_value()
    path = settings.keyring
    if path is None:
        return parse_key_ring(text, "HEADRACE_KEYRING_JSON") if text else None
    if text:
        raise UsageError("HEADRACE_KEYRING and HEADRACE_KEYRING_JSON are both set; keep one of them")
    return parse_key_ring(_read(path), f"HEADRACE_KEYRING={path}")


def required_key_ring(settings: Settings, needed_for: str) -> KeyRing:
    """The ring, where nothing goes without it.

    Raises:
        UsageError: there is none, or it is refused.
    """
    ring = load_key_ring(settings)
    if ring is None:
        raise UsageError(f"{needed_for} needs a key ring, and there is none; set HEADRACE_KEYRING to its file")
    return ring


def _read(path: Path) -> bytes:
    where = f"HEADRACE_KEYRING={path}"
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(f"{where}: expected a file, got something else")
            if mode & 0o077:
                what = f"expected a file that its owner alone may read (0600), got {stat.S_IMODE(mode):04o}"
                raise UsageError(f"{where}: {what}; chmod 600 it, and change keys that others may have read")
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from None
    if len(text) > _LARGEST_FILE:
        raise UsageError(f"{where}: expected at most {_LARGEST_FILE} bytes; this is no key ring")
    return text


def parse_key_ring(text: str | bytes, where: str) -> KeyRing:
    """The ring that a JSON text is; `where` begins the messages.

    Raises:
        UsageError: it is none. The message quotes ids, never keys.
    """
    try:
        ring = json.loads(text, object_pairs_hook=_once_each)
    except _Twice as twice:
        raise UsageError(f"{where}: {str(twice)!r} stands there twice; remove one") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{where}: not JSON; expected {_EXPECTED}") from None
    if not isinstance(ring, dict) or ring.keys() != {"current", "keys"} or not isinstance(ring["keys"], dict):
        raise UsageError(f"{where}: expected {_EXPECTED}, got other JSON")
    keys = {key_id: _key(key_id, encoded, where) for key_id, encoded in ring["keys"].items()}
    if not isinstance(ring["current"], str) or ring["current"] not in keys:
        known = ", ".join(sorted(keys)) or "none"
        raise UsageError(f"{where}: `current` is no id of its keys (there: {known}); name one of them")
    return KeyRing(ring["current"], keys)


class _Twice(Exception):
    """A key that an object has twice; which one counts would be a guess."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name[:64])
        found[name] = value
    return found


def _key(key_id: str, encoded: object, where: str) -> bytes:
    if not KEY_ID.fullmatch(key_id):
        raise UsageError(f"{where}: key id {key_id[:64]!r}: expected up to 64 letters, digits, . _ and -")
    try:
        key = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        raise UsageError(f"{where}: key {key_id}: not base64; make one with `openssl rand -base64 32`") from None
    if len(key) != KEY_BYTES:
        what = f"expected {KEY_BYTES} bytes in base64, got {len(key)}" if isinstance(encoded, str) else "expected text"
        raise UsageError(f"{where}: key {key_id}: {what}; make one with `openssl rand -base64 {KEY_BYTES}`")
    return key
