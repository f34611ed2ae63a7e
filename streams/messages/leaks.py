"""Implementation details that a contract gives away: SQL, connection strings, host names.

A message outlives the systems that write and read it; what names one of them binds every reader to it. Findings
are warnings: they are guesses from names, docs and defaults.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streams.messages.avsc import NAMED, Schema, kind_of
from streams.messages.contracts import Contract

_IN_NAMES = (
    ("SQL", re.compile(r"(^|_)(sql|query_text|where_clause|table_name|schema_name|stored_proc(edure)?|row_?id)(_|$)")),
    (
        "a connection string",
        re.compile(r"(^|_)(jdbc|odbc|dsn|conn(ection)?_(str(ing)?|url)|db_(url|uri|name|user|password))(_|$)"),
    ),
    (
        "a host name",
        re.compile(r"(^|_)(host(_?name)?|server_name|ip_addr(ess)?|fqdn|db_(host|server|port)|broker_url)(_|$)"),
    ),
)
_IN_TEXTS = (
    (
        "SQL",
        re.compile(
            r"\bselect\b[^.;]{1,200}\bfrom\s+[a-z_][\w.]*\s*(\bwhere\b|\bjoin\b|\border\s+by\b|;|$)"
            r"|\bselect\s+\*\s+from\b|\binsert\s+into\s+\w+|\bdelete\s+from\s+\w+\s+where\b|\bupdate\s+\w+\s+set\s+\w+\s*="
            r"|\b(create|alter|drop)\s+table\b",
            re.IGNORECASE,
        ),
    ),
    (
        "a connection string",
        re.compile(
            r"\b(jdbc|odbc):\w+|\b(postgres(ql)?|mysql|mariadb|mongodb(\+srv)?|redis|amqps?|oracle|sqlserver|kafka|ldaps?)://\S+"
            r"|\b(server|data source|host)=[^;\s]+;",
            re.IGNORECASE,
        ),
    ),
    (
        "a host name",
        re.compile(
            r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\blocalhost\b"
            r"|\b[a-z0-9-]+(\.[a-z0-9-]+)*\.(internal|local|lan|corp|intranet|localdomain)\b"
            r"|\b[a-z0-9-]+(\.[a-z0-9-]+)+:\d{2,5}\b",
            re.IGNORECASE,
        ),
    ),
)


@dataclass(frozen=True)
class Leak:
    """One implementation detail: where it stands, what it looks like, and the words that look so."""

    where: str
    looks_like: str
    words: str

    def line(self) -> str:
        """What a person reads."""
        return f"{self.where}: {self.words!r} looks like {self.looks_like}; a message should not name what is behind it"


def leaks(contract: Contract) -> list[Leak]:
    """Everything in a contract's names, docs and defaults that looks like an implementation detail."""
    return list(dict.fromkeys(_of_type(contract.schema, contract.name)))


def _of_type(schema: Schema, where: str) -> Iterator[Leak]:
    kind = kind_of(schema)
    if kind == "union":
        for branch in schema:
            yield from _of_type(branch, where)
    elif isinstance(schema, dict):
        if kind in NAMED:
            yield from _of_name(schema["name"].rpartition(".")[2], where)
            yield from _of_value(schema.get("doc"), where)
        for below in ("items", "values"):
            if below in schema:
                yield from _of_type(schema[below], where + ("[]" if below == "items" else "{}"))
        for field in schema.get("fields", ()):
            yield from _of_field(field, f"{where}.{field['name']}")


def _of_field(field: dict[str, Any], where: str) -> Iterator[Leak]:
    yield from _of_name(field["name"], where)
    yield from _of_value(field.get("doc"), where)
    yield from _of_value(field.get("default"), where)
    yield from _of_type(field["type"], where)


def _of_name(name: str, where: str) -> Iterator[Leak]:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for looks_like, pattern in _IN_NAMES:
        if pattern.search(words):
            yield Leak(where, looks_like, name)


def _of_value(value: object, where: str) -> Iterator[Leak]:
    if isinstance(value, str):
        for looks_like, pattern in _IN_TEXTS:
            found = pattern.search(value)
            if found:
                yield Leak(where, looks_like, " ".join(found.group().split())[:60])
    elif isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _of_value(below, where)
