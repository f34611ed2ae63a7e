"""Recounts what the topics hold against what was sent. Pure, and knows nothing of streams.routing.

Every message must be in orders.inbound once (that checks the demo's own producer), in each of its
destinations once and nowhere else, unchanged, and behind its key's earlier messages.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from streams.commerce.demo.messages import DEAD_LETTERS, SOURCE, DemoMessage
from streams.commerce.demo.wire import Headers, index_of

TOPIC_HEADER = "__streams.errors.topic"
EXCEPTION_HEADER = "__streams.errors.exception"
CATEGORY_HEADER = "headrace-category"
_ADDED_PREFIXES = ("__streams.errors.", "headrace-")
_EXAMPLES = 5  # of what is off; the counts tell the rest


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and the timestamp that it was produced with."""

    message: DemoMessage
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """A record of one of the topics."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers


@dataclass(slots=True)
class Tally:
    """What the recount came to."""

    sent: int = 0
    destinations: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # category, exception, way
    off: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def found_off(self, kind: str, what: str) -> None:
        """Count something that is not as it has to be, and remember the first few."""
        self.off[kind] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{kind}: {what}")


MISSING = "missing"
DOUBLED = "doubled"
MISROUTED = "misrouted"
OUT_OF_ORDER = "out of order"
ALTERED = "altered"
WRONG_REASON = "wrong reason"
STRANGE = "strange"
KINDS = (MISSING, DOUBLED, MISROUTED, OUT_OF_ORDER, ALTERED, WRONG_REASON, STRANGE)


class Recount:
    """Takes the records of the topics, in any mixture but in offset order within a partition."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        self._sent = sent
        self._seen: dict[str, Counter[int]] = {}
        self._last: dict[tuple[str, bytes | None], tuple[int, int]] = {}
        self._tally = Tally()

    def add(self, found: Found) -> None:
        """Count one record."""
        index = index_of(found.headers)
        if index is None or index >= len(self._sent):
            self._tally.found_off(STRANGE, f"a record in {found.topic} that nobody sent")
            return
        sent = self._sent[index]
        self._seen.setdefault(found.topic, Counter())[index] += 1
        if found.topic == DEAD_LETTERS:
            self._check_reason(sent, found)
        if not _is_unchanged(sent, found):
            self._tally.found_off(ALTERED, f"message {index} in {found.topic}")
        self._check_order(index, found)

    def _check_order(self, index: int, found: Found) -> None:
        place = (found.topic, found.key)
        last, partition = self._last.get(place, (-1, found.partition))
        if index < last or partition != found.partition:
            self._tally.found_off(OUT_OF_ORDER, f"message {index} after {last} of its key in {found.topic}")
        self._last[place] = (max(index, last), found.partition)

    def _check_reason(self, sent: Sent, found: Found) -> None:
        headers = dict(found.headers)
        category = headers.get(CATEGORY_HEADER, b"?").decode()
        exception = headers.get(EXCEPTION_HEADER, b"?").decode()
        outcome = sent.message.outcome
        self._tally.dead_letters[category, exception, outcome.way] += 1
        if category != outcome.category or headers.get(TOPIC_HEADER) != SOURCE.encode():
            expected = outcome.category or "no dead letter"
            what = f"message {sent.message.index} ({outcome.way or 'sound'})"
            self._tally.found_off(WRONG_REASON, f"{what}: expected {expected}, got {category}")

    def tally(self) -> Tally:
        """Compare what was added with what was sent; call it once, when all is added."""
        tally = self._tally
        for topic, index, count, expected in self._presence():
            if count < expected:
                tally.found_off(MISSING, f"message {index} in {topic}")
            elif not expected:
                tally.found_off(MISROUTED, f"message {index} in {topic}")
            elif count > expected:
                tally.found_off(DOUBLED, f"message {index} in {topic}, {count} times")
        tally.sent = len(self._seen.get(SOURCE, ()))
        tally.destinations.update({topic: seen.total() for topic, seen in self._seen.items() if topic != SOURCE})
        return tally

    def _presence(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield (topic, index, times found, times expected) where a message is or has to be."""
        wanted: dict[str, set[int]] = {SOURCE: set(range(len(self._sent)))}
        for index, sent in enumerate(self._sent):
            for topic in sent.message.outcome.topics:
                wanted.setdefault(topic, set()).add(index)
        for topic in wanted | self._seen:
            expected, seen = wanted.get(topic, set()), self._seen.get(topic, Counter())
            for index in sorted(expected | seen.keys()):
                yield topic, index, seen[index], int(index in expected)


def _is_unchanged(sent: Sent, found: Found) -> bool:
    """Whether all of it came through unchanged (a dead letter has more headers, and its own time)."""
    message = sent.message
    if found.key != message.key or found.value != message.value:
        return False
    if found.topic == DEAD_LETTERS:
        return tuple(h for h in found.headers if not h[0].startswith(_ADDED_PREFIXES)) == message.headers
    return found.headers == message.headers and found.timestamp_ms == sent.timestamp_ms
