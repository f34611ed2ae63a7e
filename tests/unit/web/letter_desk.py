"""Letters in memory behind the door of the web server, and a cluster whose index has some."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from streams.deadletters.letter import Letter, Position, State, letter_of
from streams.deadletters.opening import OpenedLetter
from streams.deadletters.requests import Request
from streams.errors import Category, NotReachable
from tests.unit.deadletters.letters import NOW_MS, letter_record
from tests.unit.web.memory import DEADLETTERS, PARTITIONS, Cluster

CATEGORIES = (Category.UNKNOWN, Category.TRANSIENT, Category.INVALID_FORMAT)


@dataclass
class MemoryDesk:
    """Opens every letter but those that are gone, and remembers what was asked."""

    asked: list[Request] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    down: bool = False

    def open(self, position: Position) -> OpenedLetter | None:
        if self.down:
            raise NotReachable("no broker answers")
        if str(position) in self.gone:
            return None
        headers = (("ce_id", "<b>1</b>"), ("odd", None))
        payload: object = {"order_id": "ORD-1", "note": "<script>"}
        return OpenedLetter(headers, b"\x00raw", payload, "order", "", "Traceback <here>", "2026-11-25T00:00:00.000Z")

    def append(self, requests: Iterable[Request]) -> int:
        if self.down:
            raise NotReachable("no broker answers")
        before = len(self.asked)
        self.asked += requests
        return len(self.asked) - before


def letters(count: int) -> list[Letter]:
    """Letters of alternating categories, the fourth of each four redriven already."""
    made = []
    for n in range(count):
        record = letter_record(CATEGORIES[n % 3], offset=n, at=n, key=b"k%d" % (n % 7), failed_at=NOW_MS / 1000 + n)
        letter = letter_of(record)
        made.append(replace(letter, state=State.REDRIVEN if n % 4 == 3 else State.NEW))
    return made


def index_of(found: Iterable[Letter]) -> Cluster:
    """A cluster with these letters in the index, spread over its partitions."""
    cluster = Cluster()
    for n, letter in enumerate(found):
        cluster.put(DEADLETTERS, n % PARTITIONS, letter.id.row_key(), letter.row())
    return cluster
