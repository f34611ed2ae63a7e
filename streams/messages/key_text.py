"""Keys as text: UTF-8 where that can be read back, else base64. For JSON, URLs and command lines. Pure."""

import base64
import binascii

BASE64 = "base64:"  # how a key that is no UTF-8 text is written


def text_of(key: bytes) -> str:
    """Text of a key, such that `bytes_of` reads it back."""
    try:
        text = key.decode()
    except UnicodeError:
        text = BASE64
    if text.startswith(BASE64):  # also a key that happens to begin like this
        return BASE64 + base64.urlsafe_b64encode(key).decode()
    return text


def bytes_of(text: str) -> bytes:
    """Key from its text.

    Raises:
        ValueError: what follows `base64:` is not of its URL-safe alphabet.
    """
    if not text.startswith(BASE64):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(BASE64).encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        raise ValueError(f"expected URL-safe base64 after {BASE64!r}") from None
