"""What every registry of schemas offers: the catalogue topic and an HTTP registry alike."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.messages.contracts import Contract


@dataclass(frozen=True)
class Registered:
    """One version of a contract in the registry; `id` is what a value's framing says."""

    subject: str
    version: int
    id: int
    schema: dict[str, Any] = field(hash=False, repr=False)

    @property
    def name(self) -> str:
        """Short name of the record."""
        return self.subject.rpartition(".")[2]


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

    def close(self) -> None:
        """Close connections."""
