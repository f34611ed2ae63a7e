"""Encryption of single fields: `hr1:<kid>:<base64url(nonce, ciphertext, tag)>`, AES-256-GCM.

Associated data: the message's type, the field's path, the kid, the message's id. So a ciphertext is worth nothing in
another field, message or type, and every bit of the form counts: there is one spelling of each.
No error here quotes what was or would be encrypted.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.errors import InvalidMessage
from streams.security.data_keys import NONCE_BYTES
from streams.security.parts import join_parts

# What a field holds is text or bytes; a sealed one holds the form as text, or as its ASCII bytes.
Value = str | bytes
Apply = Callable[[Value, str], Value | None]  # a field's value and its path -> what takes its place

_TAG_BYTES = 16
_SEALED = re.compile(r"hr1:([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_=-]+)")
_REMEMBERED_PATHS = 10_000


class ShreddedField(InvalidMessage):
    """The field's data key is gone: shredded, or never there. Nobody can read the field again."""


class Keys(Protocol):
    """Where data keys are found, and made (engine/key_topic.py)."""

    def newest(self, subject: str) -> str:
        """Kid of the key that encrypts what is the subject's; the first time it is made.

        Raises:
            TransientError: Kafka did not take a new key.
        """

    def cipher(self, kid: str) -> AESGCM | None:
        """What encrypts and decrypts under a key; None where there is none, also after looking again.

        Raises:
            TransientError: it cannot be told whether there is one, or the ring cannot unwrap it.
        """


class Sealer:
    """Encrypts the tagged fields of messages that Headrace makes."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def of_message(self, message_type: str, message_id: str, subject: str) -> Apply:
        """What seals each tagged field of one message.

        Raises (the returned function):
            InvalidMessage: the field is sealed already: it was copied by a stage without a decrypt grant.
            TransientError: there is no key to be had at the moment.
        """
        # Shredded between the two calls: the next newest is another one.
        kid = self._keys.newest(subject)
        cipher = self._keys.cipher(kid) or self._keys.cipher(kid := self._keys.newest(subject))
        if cipher is None:
            raise ShreddedField(f"the data keys of this {message_type}'s subject are being shredded; send it again")
        encrypt, end = cipher.encrypt, join_parts(kid.encode(), message_id.encode())

        def seal(value: Value, path: str) -> Value:
            try:
                text = value.encode() if isinstance(value, str) else value
            except UnicodeEncodeError:
                raise InvalidMessage(f"{path}: expected text, got what UTF-8 cannot say") from None
            if text.startswith(b"hr1:") and _is_sealed(value):
                raise InvalidMessage(
                    f"{path} is encrypted already; who copies it must read it, which needs "
                    f"security.decrypt for its type"
                )
            nonce = os.urandom(NONCE_BYTES)
            sealed = nonce + encrypt(nonce, text, _beginning(message_type, path) + end)
            form = f"hr1:{kid}:{base64.urlsafe_b64encode(sealed).decode()}"
            return form if isinstance(value, str) else form.encode()

        return seal


class Opener:
    """Decrypts the tagged fields of messages that a stage was granted.

    Args:
        keys: where data keys are found.
        granted: full names of the contracts that the stage may read.
        shredded_as_null: whether a field whose key is gone is None, for state that must outlive whom it is about;
            otherwise its message is refused.
    """

    def __init__(self, keys: Keys, granted: frozenset[str], *, shredded_as_null: bool = False) -> None:
        self._keys = keys
        self._shredded_as_null = shredded_as_null
        self.granted = granted

    def of_message(self, message_type: str, message_id: str) -> Apply:
        """What opens each tagged field of one message.

        Raises (the returned function):
            ShreddedField: its key is gone.
            InvalidMessage: it is not sealed, or not as this field of this message.
            TransientError: the key cannot be had at the moment.
        """
        find, of_id = self._keys.cipher, message_id.encode()

        def open_field(value: Value, path: str) -> Value | None:
            kid, sealed = _parts_of(value, path)
            cipher = find(kid)
            if cipher is None:
                if self._shredded_as_null:
                    return None
                raise ShreddedField(f"{path}: its data key {kid} is not on headrace.keys; it was shredded")
            associated = _beginning(message_type, path) + join_parts(kid.encode(), of_id)
            try:
                text = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
                return text.decode() if isinstance(value, str) else text
            except (InvalidTag, UnicodeDecodeError):
                raise InvalidMessage(
                    f"{path}: does not decrypt as this field of {message_type} {message_id[:100]}; "
                    "it was altered, or copied from another message"
                ) from None

        return open_field


def _parts_of(value: Value, path: str) -> tuple[str, bytes]:
    """Kid and nonce, ciphertext and tag of a sealed field."""
    text = value if isinstance(value, str) else value.decode("latin-1")
    form = _SEALED.fullmatch(text)
    if form is not None:
        try:
            sealed = base64.urlsafe_b64decode(form[2])
        except (binascii.Error, ValueError):
            sealed = b""
        # base64 has unused bits and passes over some characters: only the one spelling that we write is taken.
        canonical = base64.urlsafe_b64encode(sealed).decode() == form[2]
        if canonical and len(sealed) >= NONCE_BYTES + _TAG_BYTES:
            return form[1], sealed
    raise InvalidMessage(
        f"{path}: expected an encrypted field (hr1:<kid>:<base64url>), got {len(value)} {_unit(value)} of another form"
    )


def _is_sealed(value: Value) -> bool:
    try:
        _parts_of(value, "")
    except InvalidMessage:
        return False
    return True


def _unit(value: Value) -> str:
    return "characters" if isinstance(value, str) else "bytes"


@lru_cache(maxsize=_REMEMBERED_PATHS)
def _beginning(message_type: str, path: str) -> bytes:
    return join_parts(message_type.encode(), path.encode())
