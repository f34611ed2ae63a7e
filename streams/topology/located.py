"""A piece of the topology that knows where in the file it stands, so that any later check can point at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.topology.findings import Finding


@dataclass(frozen=True, kw_only=True)
class Located:
    """Position of a piece and of its keys' values; positions take no part in comparison.

    Args:
        line: from 1; 0 for a piece that was not read from a file.
        column: from 1.
        places: positions of the values of its keys, items of lists as `contracts[1]`, keys of mappings
            as `subject.order`.
    """

    line: int = field(default=0, compare=False, repr=False)
    column: int = field(default=0, compare=False, repr=False)
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def place(self, key: str = "") -> tuple[int, int]:
        """Position of the value of `key`, or of the piece where that key was not written."""
        return self.places.get(key, (self.line, self.column))

    def finding(self, message: str, key: str = "") -> Finding:
        """A finding at the value of `key`, or at the piece."""
        return Finding(*self.place(key), message)
