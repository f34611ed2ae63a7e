"""What every registry of schemas offers: the catalogue topic and an HTTP registry alike."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.messages.contracts import Contract
from streams.messages.framing import SchemaName


@dataclass(frozen=True)
class Registered:
    """One version of a contract in the registry.

    Args:
        subject: full name of the record.
        version: counts within the subject.
        id: what a value's framing says.
        schema: normalised.
        guid: what a header says instead (framing.py), 16 bytes; empty where nobody knows it.
    """

    subject: str
    version: int
    id: int
    schema: dict[str, Any] = field(hash=False, repr=False)
    guid: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        """Short name of the record."""
        return self.subject.rpartition(".")[2]


def guid_of(schema_text: str) -> bytes:
    """GUID of a schema without references, metadata and rules: MD5 of its text as the registry keeps it.

    Source: Confluent's schema-registry, `getGuid` and `updateHash` of client/rest/entities/Schema.java.
    """
    return hashlib.md5(schema_text.encode(), usedforsecurity=False).digest()


def by_name(versions: Iterable[Registered]) -> dict[SchemaName, Registered]:
    """Versions by what a message may name them by: the id, and the GUID where it is known."""
    found: dict[SchemaName, Registered] = {}
    for each in versions:
        found[each.id] = each
        if each.guid:
            found[each.guid] = each
    return found


class Registry(Protocol):
    """Versions of contracts, never changed or removed once registered."""

    def register(self, contract: Contract) -> Registered:
        """Register the contract; the same schema always gets the same id.

        Raises:
            FindingsFound: it is not backward compatible with a registered version.
            NotReachable: the registry did not answer.
        """

    def all(self) -> list[Registered]:
        """Every registered version, by subject and version."""

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None."""

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID, or None."""

    def close(self) -> None:
        """Close connections."""
