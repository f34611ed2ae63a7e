"""The catalogue: registered versions as records of the topic `headrace.schemas`, and the rules of adding one.

Pure: engine/catalogue.py reads and appends. Ids grow by one and are never given twice; versions of a subject too.
docs/reference/catalogue.md publishes the records' form.
"""

import json
from collections.abc import Iterable
from typing import Any

from streams.errors import ConfigurationRefused, FindingsFound
from streams.messages.avsc import SchemaMistake, identity, normalise
from streams.messages.compatibility import incompatibilities_with_all
from streams.messages.contracts import Contract
from streams.messages.registry import Registered


class Catalogue:
    """Every version that records of the topic declared so far."""

    def __init__(self) -> None:
        self._by_id: dict[int, Registered] = {}
        self._by_schema: dict[tuple[str, str], Registered] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take up one record of the topic.

        Raises:
            ConfigurationRefused: it is no record of a catalogue, or contradicts an earlier one.
        """
        entry = _entry_of(key, value)
        known = self._by_id.setdefault(entry.id, entry)
        if known != entry:
            raise ConfigurationRefused(
                f"the catalogue gives id {entry.id} to {known.subject}/{known.version} and to "
                f"{entry.subject}/{entry.version}; restore the topic from a copy"
            )
        self._by_schema[entry.subject, identity(entry.schema)] = entry

    def all(self) -> list[Registered]:
        """Every version, by subject and version."""
        return sorted(self._by_id.values(), key=lambda each: (each.subject, each.version))

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id."""
        return self._by_id.get(schema_id)

    def find(self, contract: Contract) -> Registered | None:
        """The version that is the contract as it stands."""
        return self._by_schema.get((contract.subject, contract.identity))

    def next_version(self, contract: Contract) -> Registered:
        """The entry that registers a contract which is not there yet.

        Raises:
            FindingsFound: it cannot read what an earlier version wrote; one line each.
        """
        refuse_incompatible(contract, self._by_id.values())
        version = max((each.version for each in self._by_id.values() if each.subject == contract.subject), default=0)
        return Registered(contract.subject, version + 1, max(self._by_id, default=0) + 1, contract.schema)


def refuse_incompatible(contract: Contract, registered: Iterable[Registered]) -> None:
    """Refuse a contract that cannot read what a registered version of it wrote.

    Raises:
        FindingsFound: one line each.
    """
    found = incompatibilities_with_all(contract, registered)
    if found:
        raise FindingsFound("\n".join(found))


def record_of(entry: Registered) -> tuple[bytes, bytes]:
    """Key and value of the record that declares an entry."""
    value = {"subject": entry.subject, "version": entry.version, "id": entry.id, "schema": entry.schema}
    return f"{entry.subject}/{entry.version}".encode(), json.dumps(value, separators=(",", ":")).encode()


def _entry_of(key: bytes | None, value: bytes | None) -> Registered:
    try:
        fields: dict[str, Any] = json.loads(value or b"")
        entry = Registered(
            str(fields["subject"]), int(fields["version"]), int(fields["id"]), normalise(fields["schema"])
        )
    except (ValueError, LookupError, TypeError, RecursionError, SchemaMistake) as error:
        shown = (key or b"").decode("utf-8", "backslashreplace")[:100]
        raise ConfigurationRefused(
            f"record {shown!r} is no entry of a catalogue ({type(error).__name__}: {error}); "
            "nothing but Headrace may write to the topic"
        ) from None
    return entry
