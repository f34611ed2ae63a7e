"""A path as functions: each hop takes a payload that is valid, and answers with one, or fails by name.

What goes into the first hop is valid because it was decoded, into any later one because the hop before was checked:
a Python converter's result against its contract, a mapping by what it was compiled from.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from inspect import iscoroutine
from time import perf_counter
from typing import Any

from streams.errors import Category, RecordError, TransformationFailed
from streams.messages.json_leaves import Convert, Misfit
from streams.messages.python_values import compile_python_check
from streams.transforming.conversions import Conversions
from streams.transforming.converters import Converter, Payload
from streams.transforming.path_finding import Path

# Of the 8 s that an agent has for the batches of one poll; the last message is begun before half of them is over.
LONGEST_ASYNC_S = 3.0


@dataclass(slots=True)
class HopTimes:
    """What one batch's hops have done, by name: offset of the record and seconds of each conversion, and failures."""

    made: defaultdict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)

    def stood(self, undone: AbstractSet[int]) -> dict[str, list[float]]:
        """Seconds of the conversions of all records but those at the offsets `undone`."""
        return {hop: [each for offset, each in made if offset not in undone] for hop, made in self.made.items()}


@dataclass(frozen=True, slots=True)
class Hop:
    """One conversion: `convert` gives a payload of a payload.

    Where `is_async` it also takes the time by which it has to be done, and gives an awaitable.
    """

    name: str
    convert: Callable[..., Any]
    is_async: bool


class Chain:
    """The hops of a path, one after the other; each is timed."""

    def __init__(self, hops: Sequence[Hop]) -> None:
        self._hops = tuple(hops)
        self.is_async = any(hop.is_async for hop in hops)

    def run(self, payload: Payload, times: HopTimes, offset: int) -> Payload:
        """The payload at the end of the path, for the record at `offset`.

        Raises:
            TransformationFailed: naming the hop, and the field where one is to blame.
            RecordError: that a converter raised on purpose.
        """
        for hop in self._hops:
            started = perf_counter()
            try:
                payload = hop.convert(payload)
            except Exception:
                times.failures[hop.name] += 1
                raise
            times.made[hop.name].append((offset, perf_counter() - started))
        return payload

    async def run_async(self, payload: Payload, times: HopTimes, offset: int, until: float) -> Payload:
        """As `run`, where a converter has to be awaited: until the event loop's time is `until`."""
        for hop in self._hops:
            started = perf_counter()
            try:
                payload = await hop.convert(payload, until) if hop.is_async else hop.convert(payload)
            except Exception:
                times.failures[hop.name] += 1
                raise
            times.made[hop.name].append((offset, perf_counter() - started))
        return payload


def time_limit() -> float:
    """Time of the running event loop by which a message that is begun now has to be converted."""
    return asyncio.get_running_loop().time() + LONGEST_ASYNC_S


def compile_chain(path: Path, conversions: Conversions) -> Chain:
    """The chain of a path."""
    return Chain([compile_hop(converter, conversions) for converter in path])


def compile_hop(converter: Converter, conversions: Conversions) -> Hop:
    """The hop of a converter, which names itself and its field in whatever goes wrong."""
    name = f"{conversions.short(converter.source)} -> {conversions.short(converter.target)}"
    if not converter.is_python:
        return Hop(name, _mapped(name, converter), is_async=False)
    check = compile_python_check(conversions.contracts[converter.target])
    made = _awaited(name, converter, check) if converter.is_async else _called(name, converter, check)
    return Hop(name, made, converter.is_async)


def _mapped(name: str, converter: Converter) -> Callable[[Payload], Payload]:
    """A mapping fails only on what the message says, which no retry changes."""
    convert = converter.function

    def mapped(payload: Payload) -> Payload:
        try:
            result: Payload = convert(payload)
        except Misfit as error:
            path, _, reason = error.line().partition(": ")
            raise TransformationFailed(name, path, reason, Category.INVALID_FORMAT) from None
        return result

    return mapped


def _called(name: str, converter: Converter, check: Convert) -> Callable[[Payload], Payload]:
    function, origin = converter.function, converter.origin

    def called(payload: Payload) -> Payload:
        try:
            made = function(payload)
        except RecordError:
            raise
        except Exception as error:
            raise _raised(name, origin, error) from error
        if iscoroutine(made):
            made.close()
        return _checked(name, origin, check, made)

    return called


def _awaited(name: str, converter: Converter, check: Convert) -> Callable[[Payload, float], Any]:
    function, origin = converter.function, converter.origin

    async def awaited(payload: Payload, until: float) -> Payload:
        try:
            async with asyncio.timeout_at(until) as limit:
                made = await function(payload)
        except RecordError:
            raise
        except Exception as error:
            if limit.expired():
                reason = f"{origin} was not done within the {LONGEST_ASYNC_S:g} s that a message has"
                raise TransformationFailed(name, "", reason, Category.TRANSIENT) from error
            raise _raised(name, origin, error) from error
        return _checked(name, origin, check, made)

    return awaited


def _raised(name: str, origin: str, error: Exception) -> TransformationFailed:
    return TransformationFailed(name, "", f"{origin} raised {type(error).__name__}: {' '.join(str(error).split())}")


def _checked(name: str, origin: str, check: Convert, made: Any) -> Payload:
    try:
        result: Payload = check(made)
    except Misfit as error:
        path, _, reason = error.line().partition(": ")
        raise TransformationFailed(name, path, f"{reason}, from {origin}") from None
    return result
