"""Which registry is in force, and the record of ids in use that outlives a change of it.

The catalogue topic records every id that was given on this cluster, whoever gave it. A registry over HTTP that lacks
one of them, or means something else by it, is refused before anything is read or written with its ids.
"""

from contextlib import closing
from typing import TYPE_CHECKING

from streams.config import Settings
from streams.engine.catalogue import CatalogueRegistry
from streams.messages.catalogue import refuse_lost_ids
from streams.messages.contracts import Contract
from streams.messages.registry import Registered, Registry

if TYPE_CHECKING:
    from streams.messages.http_registry import HttpRegistry


def open_registry(settings: Settings, *, checked: bool = True) -> Registry:
    """The registry that the settings name: one over HTTP with its ids recorded, else the catalogue topic.

    Args:
        settings: which, and where the cluster is.
        checked: whether one over HTTP must have the ids in use; without it none may be registered.

    Raises:
        NotReachable: it does not answer.
        ConfigurationRefused: SCHEMA_REGISTRY_URL is no URL.
    """
    if not settings.registry_url():
        return CatalogueRegistry(settings)
    from streams.messages.http_registry import HttpRegistry  # noqa: PLC0415 an HTTP stack that few commands need

    http = HttpRegistry(settings.registry_url())
    return RecordedRegistry(http, settings) if checked else http


class RecordedRegistry:
    """A registry over HTTP beside the catalogue topic of its cluster, which records its ids.

    The first thing that is asked of it is whether it has the ids in use; later questions go to it alone.

    Args:
        http: the registry.
        settings: where the cluster is.
    """

    def __init__(self, http: "HttpRegistry", settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._checked = False

    def register(self, contract: Contract) -> Registered:
        """Register a contract and record its versions' ids; see `Registry`.

        Raises:
            ConfigurationRefused: it lacks ids in use.
        """
        if not self._checked:
            self.all()
        registered = self._http.register(contract)
        with closing(CatalogueRegistry(self._settings)) as catalogue:
            catalogue.record(self._http.versions(contract.subject))
        return registered

    def all(self) -> list[Registered]:
        """Every version; see `Registry`.

        Raises:
            ConfigurationRefused: it lacks ids in use.
        """
        found = self._http.all()
        if not self._checked:
            refuse_lost_ids(self.recorded(), found, self._http.url)
            self._checked = True
        return found

    def recorded(self) -> list[Registered]:
        """Every id in use on the cluster, as far as it is recorded."""
        with closing(CatalogueRegistry(self._settings)) as catalogue:
            return catalogue.all()

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None; see `Registry`."""
        return self._http.by_id(schema_id)

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID, or None; see `Registry`."""
        return self._http.by_guid(guid)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
