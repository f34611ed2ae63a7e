"""What one reading of a file carries along: its findings, and the environment that values are filled from."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from streams.topology.findings import Finding
from streams.topology.interpolation import NotInterpolated, interpolate
from streams.topology.scalars import described, resolve
from streams.topology.tree import Node, ScalarNode

# A guess takes about 20 us; a file with more mistakes than this is another kind of file.
_MOST_GUESSES = 100


class Bad:
    """The type of BAD, the value of what could not be read: whatever holds it is BAD too."""


BAD: Final = Bad()


class Decoding:
    """Collects every mistake instead of stopping at the first."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.findings: list[Finding] = []

    def refuse(self, node: Node, message: str) -> Bad:
        """Note a finding at `node`; answers BAD so that a decoder can return it."""
        self.findings.append(Finding(node.line, node.column, message))
        return BAD

    def near_miss(self, word: object, known: Iterable[str], otherwise: str) -> str:
        """What to do about an unknown word. Guessing stops where nobody reads on."""
        near: list[str] = []
        if isinstance(word, str) and len(self.findings) < _MOST_GUESSES:
            near = difflib.get_close_matches(word[:100], known, 1)
        return f"did you mean {near[0]!r}?" if near else otherwise

    def scalar(self, node: Node, expected: str) -> object:
        """Python value of a scalar node after interpolation; BAD for a list or mapping."""
        if not isinstance(node, ScalarNode):
            return self.refuse(node, f"expected {expected}, got {described(node)}; write {expected}")
        try:
            text = interpolate(node.text, self.environment)
        except NotInterpolated as error:
            return self.refuse(node, str(error))
        return resolve(text, plain=node.plain)


Decoder = Callable[[Node, Decoding], Any]  # Any: each answers its own type or BAD
