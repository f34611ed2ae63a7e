"""The catalogue: registered versions as records of the topic `headrace.schemas`, and the rules of adding one.

Pure: engine/catalogue.py reads and appends. Ids grow by one and are never given twice; versions of a subject too.
docs/reference/catalogue.md publishes the records' form.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streams.errors import ConfigurationRefused, FindingsFound, StartRefused
from streams.messages.avsc import SchemaMistake, identity, normalise
from streams.messages.compatibility import incompatibilities_with_all
from streams.messages.contracts import Contract
from streams.messages.registry import Registered, guid_of

_SHOWN_IDS = 10


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

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID."""
        return next((each for each in self._by_id.values() if each.guid == guid), None)

    def lacking(self, versions: Iterable[Registered]) -> list[Registered]:
        """Those of an HTTP registry's versions whose ids are not recorded yet.

        Raises:
            ConfigurationRefused: an id was given to something else before.
        """
        lacking: dict[int, Registered] = {}
        for version in versions:
            known = self._by_id.get(version.id) or lacking.setdefault(version.id, self._renumbered(version, lacking))
            if not is_same(known, version):
                raise ConfigurationRefused(
                    f"schema id {version.id} is {known.subject}/{known.version} on this cluster and "
                    f"{version.subject}/{version.version} in the registry; one cluster needs one registry"
                )
        return list(lacking.values())

    def _renumbered(self, version: Registered, others: Mapping[int, Registered]) -> Registered:
        """With a number that no entry has: compaction would drop one of two records with one key."""
        entries = (*self._by_id.values(), *others.values())
        taken = {each.version for each in entries if each.subject == version.subject}
        return replace(version, version=max(taken) + 1) if version.version in taken else version

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
        guid = guid_of(_text(contract.schema))
        return Registered(contract.subject, version + 1, max(self._by_id, default=0) + 1, contract.schema, guid)


def is_same(one: Registered, other: Registered) -> bool:
    """Whether two registries mean the same by an id; the numbers of versions do not matter to a message."""
    return one.subject == other.subject and identity(one.schema) == identity(other.schema)


def refuse_lost_ids(recorded: Iterable[Registered], registry: Sequence[Registered], url: str) -> None:
    """Refuse a registry that lacks ids which messages on the cluster may carry, or means something else by them.

    Args:
        recorded: the catalogue topic, the record of all ids in use.
        registry: what the HTTP registry holds.
        url: where it is.

    Raises:
        StartRefused: one line.
    """
    by_id = {each.id: each for each in registry}
    lost = [each for each in recorded if not (each.id in by_id and is_same(by_id[each.id], each))]
    if not lost:
        return
    shown = ", ".join(f"{each.id} ({each.subject}/{each.version})" for each in lost[:_SHOWN_IDS])
    more = f" and {len(lost) - _SHOWN_IDS} more" if len(lost) > _SHOWN_IDS else ""
    raise StartRefused(
        f"registry {url} lacks schema ids that are in use on this cluster, or has other schemas under them: "
        f"{shown}{more}; import them with their ids (Confluent: mode IMPORT; see docs/operations.md), "
        "unset SCHEMA_REGISTRY_URL, or correct it"
    )


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
    if entry.guid:
        value["guid"] = str(uuid.UUID(bytes=entry.guid))
    return f"{entry.subject}/{entry.version}".encode(), _text(value).encode()


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _entry_of(key: bytes | None, value: bytes | None) -> Registered:
    try:
        fields: dict[str, Any] = json.loads(value or b"")
        schema = normalise(fields["schema"])
        guid = uuid.UUID(fields["guid"]).bytes if "guid" in fields else guid_of(_text(schema))
        entry = Registered(str(fields["subject"]), int(fields["version"]), int(fields["id"]), schema, guid)
    except (ValueError, LookupError, TypeError, RecursionError, SchemaMistake) as error:
        shown = (key or b"").decode("utf-8", "backslashreplace")[:100]
        raise ConfigurationRefused(
            f"record {shown!r} is no entry of a catalogue ({type(error).__name__}: {error}); "
            "nothing but Headrace may write to the topic"
        ) from None
    return entry
