"""Converters between formats: the domain's Python functions and the mappings of topology.yaml, as one kind of thing.

A domain registers its own in the module that HEADRACE_APP names:

    converters = Converters()

    @converters.register("partner_order_v2", "order", cost=2)
    def to_order(payload: dict) -> dict: ...

The function gets the decoded payload of the one contract and returns that of the other; it may be an `async def`. A
format that is no Avro, CSV or JSON is read by a function from the bytes of a value to a payload:

    @converters.reads("edifact_order")
    def read_edifact(value: bytes) -> dict: ...
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from streams.errors import UsageError

Payload = dict[str, Any]
Function = Callable[[Payload], Any]  # a payload, or an awaitable of one
ReadValue = Callable[[bytes], Payload]
_Function = TypeVar("_Function", bound=Callable[..., Any])


class UnknownFormat(Exception):
    """Nothing says how values of a contract are written, or they cannot be written so; the message says which."""


@dataclass(frozen=True, slots=True)
class Converter:
    """One edge of the graph of formats.

    Args:
        source: name of the format that it takes.
        target: name of the format that it makes.
        cost: at least 1; the cheapest path is taken.
        function: from payload to payload.
        origin: where people find it: `topology.yaml:12`, or the function's full name.
        is_python: whether a person wrote the function, so that what it makes has to be checked.
    """

    source: str
    target: str
    cost: int
    function: Function
    origin: str
    is_python: bool = True

    @property
    def is_async(self) -> bool:
        """Whether the function has to be awaited."""
        return iscoroutinefunction(self.function)


class Converters:
    """What a domain registers: functions from format to format, and readers of formats of its own."""

    def __init__(self) -> None:
        self._by_formats: dict[tuple[str, str], Converter] = {}
        self.readers: dict[str, ReadValue] = {}

    def __iter__(self) -> Iterator[Converter]:
        return iter(self._by_formats.values())

    def register(self, source: str, target: str, cost: int = 1) -> Callable[[_Function], _Function]:
        """Register the decorated function as the converter from `source` to `target`.

        Raises:
            UsageError: there is one, or the cost is below 1.
        """
        if cost < 1:
            raise UsageError(f"converter {source} -> {target}: expected a cost of at least 1, got {cost}")

        def register(function: _Function) -> _Function:
            origin = f"{function.__module__}.{function.__qualname__}"
            made = Converter(source, target, cost, function, origin)
            first = self._by_formats.setdefault((source, target), made)
            if first is not made:
                raise UsageError(f"converter {source} -> {target}: {origin} is a second one after {first.origin}")
            return function

        return register

    def reads(self, name: str) -> Callable[[ReadValue], ReadValue]:
        """Register the decorated function as the reader of values of format `name`.

        Raises:
            UsageError: there is one.
        """

        def register(function: ReadValue) -> ReadValue:
            if self.readers.setdefault(name, function) is not function:
                raise UsageError(f"format {name}: a second reader; a format is read in one way")
            return function

        return register
