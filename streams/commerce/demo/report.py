"""The demo's result as a table that a person enjoys reading. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.commerce.demo.latency import RATE_PER_S, Latency
from streams.commerce.demo.messages import DEAD_LETTERS, DESTINATIONS, EXPRESS, STANDARD
from streams.commerce.demo.recount import KINDS, Tally

_WIDTH = 78
# Which topic shows how often a route of topology.yaml was taken.
ROUTE_TOPICS = {"critical_orders": EXPRESS, "standard_orders": STANDARD}


@dataclass(frozen=True, slots=True)
class Result:
    """All that the demo found out."""

    tally: Tally
    messages_per_s: float
    latency: Latency
    routes: dict[str, int]  # of table router.routes, summed over the partitions
    complaints: list[str] = field(default_factory=list)  # what is off besides the recount

    @property
    def good(self) -> bool:
        """Whether nothing at all is off."""
        return not self.tally.off.total() and not self.complaints and not table_complaints(self)


def table_complaints(result: Result) -> list[str]:
    """Where table router.routes and the recount differ: it has to be exact, kill or no kill."""
    recounted = {route: result.tally.destinations[topic] for route, topic in ROUTE_TOPICS.items()}
    return [
        f"table router.routes counts {result.routes.get(route, 0):,} of {route}, the topics hold {count:,}"
        for route, count in recounted.items()
        if result.routes.get(route, 0) != count
    ]


def report(result: Result) -> Iterator[str]:
    """Lines of the table."""
    tally = result.tally
    yield "─" * _WIDTH
    yield _row("sent", tally.sent, "orders.inbound, recounted")
    for topic in DESTINATIONS:
        yield _row(f"  {topic}", tally.destinations[topic])
    yield _row("dead letters", tally.destinations[DEAD_LETTERS], DEAD_LETTERS)
    for (category, exception, way), count in sorted(tally.dead_letters.items()):
        yield _row(f"  {way.replace('_', ' ') or 'a sound message'}", count, f"{category:<15} {exception}")
    yield "─" * _WIDTH
    for kind in KINDS:
        yield _row(kind, tally.off[kind])
    differences = table_complaints(result)
    yield f"{'table router.routes':<28}{'differs' if differences else 'agrees':>12}   asked over HTTP"
    yield "─" * _WIDTH
    yield f"{'rate':<28}{result.messages_per_s:>10,.0f}/s   first produce to last commit, kill -9 included"
    yield from _latency(result.latency)
    yield "─" * _WIDTH
    yield from _verdict(result, differences)


def _row(what: str, count: int, remark: str = "") -> str:
    return f"{what:<28}{count:>12,}   {remark}".rstrip()


def _latency(latency: Latency) -> Iterator[str]:
    what = f"produce() to a committed read, {latency.messages:,} messages at {RATE_PER_S}/s"
    yield f"{'latency, median':<28}{latency.median_ms:>9,.1f} ms   {what}"
    yield f"{'latency, 99 of 100 within':<28}{latency.p99_ms:>9,.1f} ms"


def _verdict(result: Result, differences: list[str]) -> Iterator[str]:
    if result.good:
        yield "Every message is where it belongs, exactly once, unchanged and in order."
        return
    yield "Something is off:"
    for line in [*result.tally.examples, *differences, *result.complaints]:
        yield f"  {line}"
