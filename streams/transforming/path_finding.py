"""The cheapest way from one format to another over converters: Dijkstra, with one answer whatever the order of input.

Costs are at least 1, so a path never comes back to a format. Of paths with equal cost the one with fewer hops is
taken, of those the one whose formats come first in the alphabet.
"""

import heapq
from collections.abc import Iterable

from streams.transforming.converters import Converter

Path = tuple[Converter, ...]


def cheapest_path(converters: Iterable[Converter], source: str, target: str) -> Path | None:
    """The path from `source` to `target`: no hop where they are the same, None where there is none."""
    onward: dict[str, list[Converter]] = {}
    for converter in converters:
        onward.setdefault(converter.source, []).append(converter)
    # Cost, hops and formats order the paths; two converters of one pair differ in cost, or origin decides.
    waiting: list[tuple[int, int, tuple[str, ...], tuple[str, ...], Path]] = [(0, 0, (source,), (), ())]
    settled: set[str] = set()
    while waiting:
        cost, hops, formats, origins, path = heapq.heappop(waiting)
        here = formats[-1]
        if here == target:
            return path
        if here in settled:
            continue
        settled.add(here)
        for converter in onward.get(here, ()):
            if converter.target not in settled:
                longer = (*formats, converter.target), (*origins, converter.origin)
                heapq.heappush(waiting, (cost + converter.cost, hops + 1, *longer, (*path, converter)))
    return None


def formats_reached(converters: Iterable[Converter], source: str) -> list[str]:
    """Formats that some path leads to from `source`, in the order of the alphabet."""
    edges = [(converter.source, converter.target) for converter in converters]
    reached = {source}
    while more := {target for start, target in edges if start in reached} - reached:
        reached |= more
    return sorted(reached - {source})
