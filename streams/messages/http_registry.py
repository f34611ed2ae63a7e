"""A registry that speaks Confluent's HTTP interface (SCHEMA_REGISTRY_URL); subjects by RecordNameStrategy.

Not every registry checks compatibility by default, so it is checked here too, against every version. What else the
registry holds (other formats, subjects named by other strategies) is none of ours and passed over.
"""

import json
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from streams.errors import ConfigurationRefused, FindingsFound, HeadraceError, NotReachable
from streams.messages.avsc import SchemaMistake, identity, normalise
from streams.messages.catalogue import refuse_incompatible
from streams.messages.contracts import Contract
from streams.messages.registry import Registered

T = TypeVar("T")

_TIMEOUT_S = 5  # a request; refused connections are tried _RETRIES times more
_RETRIES = 2
_NOT_FOUND = 404
_CONFLICT = 409


class HttpRegistry:
    """A registry behind a URL.

    Args:
        url: of its Confluent interface, e.g. `http://127.0.0.1:8081`.

    Raises:
        ConfigurationRefused: the URL is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._client = SchemaRegistryClient({"url": url, "timeout": _TIMEOUT_S, "max.retries": _RETRIES})
        except ValueError as error:
            raise ConfigurationRefused(f"SCHEMA_REGISTRY_URL: {error}; expected http(s)://host:port") from None

    def register(self, contract: Contract) -> Registered:
        """Register a contract; see `Registry`."""
        versions = list(self._versions(contract.subject))
        known = _find(contract, versions)
        if known is not None:
            return known
        refuse_incompatible(contract, versions)
        schema = Schema(json.dumps(contract.schema), "AVRO")
        self._ask(lambda: self._client.register_schema(contract.subject, schema))
        registered = _find(contract, self._versions(contract.subject))
        if registered is None:
            raise HeadraceError(f"registry {self._url} took {contract.subject} but does not list it; ask its operator")
        return registered

    def all(self) -> list[Registered]:
        """Every version; see `Registry`."""
        found = [each for subject in self._ask(self._client.get_subjects) for each in self._versions(subject)]
        return sorted(found, key=lambda each: (each.subject, each.version))

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None."""
        return next((each for each in self.all() if each.id == schema_id), None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _versions(self, subject: str) -> Iterator[Registered]:
        try:
            numbers = self._ask(lambda: self._client.get_versions(subject))
        except _NotThere:
            return
        for number in numbers:
            found = self._ask(lambda number=number: self._client.get_version(subject, number))  # type: ignore[misc]
            try:
                schema = normalise(json.loads(found.schema.schema_str or ""))
            except (SchemaMistake, ValueError):
                continue
            if found.schema.schema_type == "AVRO" and schema["name"] == subject:
                yield Registered(subject, int(number), int(found.schema_id or 0), schema)

    def _ask(self, call: Callable[[], T]) -> T:
        """Answer of one request.

        Raises:
            NotReachable: there was none.
            FindingsFound: the registry's own check of compatibility refuses the schema.
            HeadraceError: it refuses for another reason.
        """
        try:
            return call()
        except httpx2.TransportError as error:
            raise NotReachable(f"no registry at {self._url} ({_line(error)}); check SCHEMA_REGISTRY_URL") from None
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise _NotThere(
                    f"registry {self._url}: not found ({_line(error)}); check SCHEMA_REGISTRY_URL"
                ) from None
            if error.http_status_code == _CONFLICT:
                raise FindingsFound(f"registry {self._url} refuses the contract: {_line(error)}") from None
            raise HeadraceError(f"registry {self._url} answered {error.http_status_code}: {_line(error)}") from None


class _NotThere(HeadraceError):
    """The registry has no such thing."""


def _find(contract: Contract, versions: "list[Registered] | Iterator[Registered]") -> Registered | None:
    return next((each for each in versions if identity(each.schema) == contract.identity), None)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
