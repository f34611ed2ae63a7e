"""A registry that speaks Confluent's HTTP interface (SCHEMA_REGISTRY_URL); subjects by RecordNameStrategy.

Not every registry checks compatibility by default, so it is checked here too, against every version. What else the
registry holds (other formats, subjects named by other strategies) is none of ours and passed over.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import httpx2
from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaRegistryClient, SchemaRegistryError

from streams.errors import ConfigurationRefused, FindingsFound, HeadraceError, NotReachable
from streams.messages.avsc import SchemaMistake, identity, is_name, normalise
from streams.messages.catalogue import refuse_incompatible
from streams.messages.contracts import Contract
from streams.messages.registry import Registered, guid_of

T = TypeVar("T")

# A request. A connection that breaks is tried once more at once; one that is silent has used up a person's patience.
_TIMEOUT_S = 4.5
_NOT_FOUND = 404
# What the client raises on answers that are no JSON, or other JSON than it expects.
_NONSENSE = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
_LARGEST_ID = (1 << 31) - 1
_CONFLICT = 409
_TOO_MANY = 429
_SERVERS_FAULT = 500  # and above: it, or what stands before it, cannot answer now


class HttpRegistry:
    """A registry behind a URL.

    Args:
        url: of its Confluent interface, e.g. `http://127.0.0.1:8081`.

    Raises:
        ConfigurationRefused: the URL is none.
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)  # it is shown in errors, in /readyz and in logs
        try:
            self._client = SchemaRegistryClient({"url": url, "timeout": _TIMEOUT_S, "max.retries": 0})
        except ValueError:
            raise ConfigurationRefused(f"SCHEMA_REGISTRY_URL: expected http(s)://host:port, got {self.url}") from None

    def register(self, contract: Contract) -> Registered:
        """Register a contract; see `Registry`."""
        versions = self.versions(contract.subject)
        known = _find(contract, versions)
        if known is not None:
            return known
        refuse_incompatible(contract, versions)
        schema = Schema(json.dumps(contract.schema), "AVRO")
        try:
            self._ask(lambda: self._client.register_schema(contract.subject, schema))
        except _Conflict as conflict:
            # Somebody registered another version meanwhile: our own check names the field, the registry's may not.
            refuse_incompatible(contract, self.versions(contract.subject))
            raise FindingsFound(f"{contract.name}: {conflict}") from None
        return self._registered(contract)

    def _registered(self, contract: Contract) -> Registered:
        """What a registration came to. Another may have come first where the registry itself checks nothing.

        Of two that cannot read each other the later one gives way: it is taken out again before anybody has its id.
        """
        versions = self.versions(contract.subject)
        registered = _find(contract, versions)
        if registered is None:
            raise HeadraceError(f"registry {self.url} took {contract.subject} but does not list it; ask its operator")
        try:
            refuse_incompatible(contract, [each for each in versions if each.version < registered.version])
        except FindingsFound:
            with suppress(HeadraceError):  # not every registry lets versions be deleted
                self._ask(lambda: self._client.delete_version(contract.subject, registered.version))
            raise
        return registered

    def all(self) -> list[Registered]:
        """Every version; see `Registry`."""
        # With those of deleted versions: Apicurio 2.6 counts a subject among them whose last version is deleted.
        subjects = self._ask(lambda: _texts(self._client.get_subjects(deleted=True)))
        found = [each for subject in subjects if is_name(subject) for each in self.versions(subject)]
        return sorted(found, key=lambda each: (each.subject, each.version))

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None."""
        return next((each for each in self.all() if each.id == schema_id), None)

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID, or None; a registry that lists no GUIDs may still know the schema of one."""
        versions = self.all()
        listed = next((each for each in versions if each.guid == guid), None)
        return listed or self._looked_up(guid, versions)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def versions(self, subject: str) -> list[Registered]:
        """Versions of a subject that are contracts."""
        return list(self._versions(subject))

    def _versions(self, subject: str) -> Iterator[Registered]:
        try:
            numbers = self._ask(lambda: [int(number) for number in self._client.get_versions(subject)])
        except _NotThere:
            return
        for number in numbers:
            try:
                found = self._ask(lambda number=number: self._client.get_version(subject, number))  # type: ignore[misc]
                schema = normalise(json.loads(found.schema.schema_str or ""))
            except (_NotThere, SchemaMistake, *_NONSENSE):  # taken out again meanwhile, or no contract
                continue
            if found.schema.schema_type == "AVRO" and schema["name"] == subject:
                yield Registered(subject, number, self._id_of(found), schema, _guid(found))

    def _id_of(self, found: RegisteredSchema) -> int:
        schema_id = found.schema_id
        if type(schema_id) is not int or not 0 <= schema_id <= _LARGEST_ID:
            raise HeadraceError(
                f"registry {self.url}: expected an id of 32 bits, got {schema_id!r:.40} for {found.subject}"
            )
        return schema_id

    def _looked_up(self, guid: bytes, versions: Sequence[Registered]) -> Registered | None:
        try:
            found = self._ask(lambda: self._client.get_schema_by_guid(str(uuid.UUID(bytes=guid))))
            schema = normalise(json.loads(found.schema_str or ""))
        except (_NotThere, SchemaMistake, ValueError):
            return None
        same = (each for each in versions if identity(each.schema) == identity(schema))
        return next(same, None)

    def _ask(self, call: Callable[[], T]) -> T:
        """Answer of one request.

        Raises:
            NotReachable: there was none.
            HeadraceError: it refuses.
        """
        try:
            return _call(call)
        except httpx2.TransportError as error:
            raise NotReachable(f"no registry at {self.url} ({_line(error)}); check SCHEMA_REGISTRY_URL") from None
        except SchemaRegistryError as error:
            raise self._refusal(error) from None
        except _NONSENSE as error:
            told = f"what no registry answers ({type(error).__name__})"
            raise HeadraceError(f"registry {self.url} answered {told}; check SCHEMA_REGISTRY_URL") from None

    def _refusal(self, error: SchemaRegistryError) -> HeadraceError:
        status = error.http_status_code
        if status == _NOT_FOUND:
            return _NotThere(f"registry {self.url}: not found ({_line(error)}); check SCHEMA_REGISTRY_URL")
        if status == _CONFLICT:
            return _Conflict(f"registry {self.url} refuses it: {_line(error)}")
        if status == _TOO_MANY or status >= _SERVERS_FAULT:
            return NotReachable(f"registry {self.url} cannot answer now: {status} ({_line(error)})")
        return HeadraceError(f"registry {self.url} answered {status}: {_line(error)}")


class _NotThere(HeadraceError):
    """The registry has no such thing."""


class _Conflict(HeadraceError):
    """The registry's own check refuses a schema."""


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"//[^/@]*@", "//***@", url)


def _texts(found: object) -> list[str]:
    """Names in an answer.

    Raises:
        TypeError: it is no list of texts.
    """
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise TypeError("no list of names")
    return found


def _call(call: Callable[[], T]) -> T:
    try:
        return call()
    except httpx2.TimeoutException:
        raise
    except httpx2.TransportError:  # such as an idle connection that the other side has closed
        return call()


def _guid(found: RegisteredSchema) -> bytes:
    """GUID that the registry gives, or would give if it gave any."""
    try:
        return uuid.UUID(found.guid).bytes if found.guid else guid_of(found.schema.schema_str or "")
    except ValueError:
        return b""


def _find(contract: Contract, versions: Sequence[Registered]) -> Registered | None:
    return next((each for each in versions if identity(each.schema) == contract.identity), None)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
