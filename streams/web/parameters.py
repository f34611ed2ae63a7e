"""Reads what a request says, strictly: what is not exactly right is refused with 400, never guessed at.

aiohttp leaves a malformed percent-escape in the text as it is, so a wrong key would be looked up and not be
found; therefore paths and queries are decoded here, from the raw target. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from streams.messages.key_text import bytes_of
from streams.web.refusals import invalid

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_KEY_BYTES = 2048  # percent-encoded it fits the 8 KiB line that HTTP servers accept
MAX_PARTITION_DIGITS = 6
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Scan:
    """Which rows of a table are asked for."""

    prefix: bytes = b""
    after: bytes | None = None
    limit: int = DEFAULT_LIMIT


def decode(text: str, what: str, *, plus_is_space: bool = False) -> str:
    """Percent-decode UTF-8 text; refuses broken escapes and other encodings."""
    if _BROKEN_ESCAPE.search(text):
        raise invalid(f"{what}: expected % followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(text.replace("+", " ") if plus_is_space else text).decode()
    except UnicodeError:
        raise invalid(f"{what}: expected percent-encoded UTF-8, got other bytes") from None


def key_of(text: str, what: str = "key") -> bytes:
    """Key from its text: UTF-8, or `base64:` with the URL-safe alphabet for any other bytes."""
    try:
        key = bytes_of(text)
    except ValueError as error:
        raise invalid(f"{what}: {error}") from None
    if len(key) > MAX_KEY_BYTES:
        raise invalid(f"{what}: expected at most {MAX_KEY_BYTES} bytes, got {len(key)}")
    return key


def query(raw: str, known: Iterable[str]) -> dict[str, str]:
    """Parameters of a query string, each at most once and each known."""
    names = tuple(known)
    found: dict[str, str] = {}
    for pair in filter(None, raw.split("&")):
        name, _equals, value = pair.partition("=")
        name = decode(name, "query", plus_is_space=True)
        if name not in names:
            raise invalid(f"query: expected {', '.join(names)}, got another parameter")
        if name in found:
            raise invalid(f"{name}: expected once, came twice")
        found[name] = decode(value, name, plus_is_space=True)
    return found


def scan_of(raw: str) -> Scan:
    """What `?prefix=&after=&limit=` ask for."""
    given = query(raw, ("prefix", "after", "limit"))
    after = given.get("after")
    return Scan(
        prefix=key_of(given.get("prefix", ""), "prefix"),
        after=None if after is None else key_of(after, "after"),
        limit=limit_of(given.get("limit", str(DEFAULT_LIMIT))),
    )


def limit_of(text: str) -> int:
    """Rows a page that a request asks for."""
    # isdecimal alone takes other scripts' digits; the length bound keeps int() cheap
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)) else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"limit: expected a whole number from 1 to {MAX_LIMIT}")
    return limit


def table_and_key(raw_path: str) -> tuple[str, str]:
    """Table and key (empty: none) of `/api/tables/{table}[/{key}]`; a key may hold slashes, encoded too."""
    table, _slash, key = raw_path.removeprefix("/api/tables/").partition("/")
    return decode(table, "table"), decode(key, "key")


def partitions_of(header: str) -> tuple[int, ...]:
    """Partitions that a forwarding worker asks for: `0,2`."""
    parts = header.split(",")
    if not all(p.isascii() and p.isdecimal() and len(p) <= MAX_PARTITION_DIGITS for p in parts):
        raise invalid("Headrace-Partitions: expected numbers separated by commas")
    return tuple(sorted({int(p) for p in parts}))
