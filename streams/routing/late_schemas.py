"""Schema versions that were registered after this worker started.

The registry is asked only when an id (or a GUID) comes that nobody knows, and not often: a flood of garbage ids must
not turn into a flood of questions, each of which holds up the stage for a tenth of a second. An answer is all of the
registry, so it settles every id at once, and the flood cannot hide a version that was registered meanwhile.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from streams.errors import HeadraceError, NotReachable, TransientError
from streams.messages.framing import SchemaName, told
from streams.messages.registry import Registered, by_name

ASK_AGAIN_S = 10.0  # how long an id that was asked for stays unknown
BURST = 5  # questions that may follow one another
ANSWER_S = 3.0  # of the 8 s that an agent has for a batch
REFILL_S = 1.0  # seconds for one more
NEXT_IDS = 5  # a registry counts up, so these above its largest id may be its next ones
_REMEMBERED = 10_000


class Asked(Protocol):
    """The part of a registry that is asked."""

    def all(self) -> list[Registered]:
        """Every registered version."""

    def by_guid(self, guid: bytes) -> Registered | None:
        """The version with this GUID, or None."""


class LateSchemas:
    """Looks up schema ids and GUIDs that are not known yet, at a bounded rate.

    Args:
        registry: asked for all that it has.
        clock: seconds that only grow.
        known: what it had when the stage started.
        sleep: waits so many seconds of that clock.
    """

    def __init__(
        self,
        registry: Asked,
        clock: Callable[[], float],
        known: Iterable[Registered] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._sleep = sleep
        self._known = by_name(known)
        self._largest = max((each.id for each in self._known.values()), default=0)
        self._unknown_since: dict[SchemaName, float] = {}
        self._questions = float(BURST)
        self._counted_at = clock()

    def find(self, name: SchemaName) -> Registered | None:
        """The version with this id or GUID; None where it is unknown, or was a moment ago.

        Raises:
            TransientError: the registry does not answer.
        """
        found = self._known.get(name)
        if found is not None:
            return found
        now = self._clock()
        since = self._unknown_since.get(name)
        if since is not None and now - since < ASK_AGAIN_S:
            return None
        if not self._may_ask(now, waits=self._may_be_next(name)):
            return None
        self._known = self._ask(name)
        self._largest = max((each.id for each in self._known.values()), default=0)
        found = self._known.get(name)
        if found is None:
            if len(self._unknown_since) >= _REMEMBERED:
                self._unknown_since.clear()
            self._unknown_since[name] = self._clock()
        return found

    def _may_be_next(self, name: SchemaName) -> bool:
        return isinstance(name, int) and self._largest < name <= self._largest + NEXT_IDS

    def _may_ask(self, now: float, *, waits: bool) -> bool:
        """Take a question of those that are left; without one, wait for the next or do without."""
        self._questions = min(BURST, self._questions + (now - self._counted_at) / REFILL_S)
        self._counted_at = now
        if self._questions < 1:
            if not waits:
                return False
            self._sleep((1 - self._questions) * REFILL_S)
            self._questions, self._counted_at = 1.0, self._clock()
        self._questions -= 1
        return True

    def _ask(self, name: SchemaName) -> dict[SchemaName, Registered]:
        """Ask in a thread that can be left behind: a registry that hangs must not use up the batch's time."""
        answers: queue.SimpleQueue[dict[SchemaName, Registered] | HeadraceError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._answer(name))
            except HeadraceError as error:
                answers.put(error)

        threading.Thread(target=ask, name="late-schema", daemon=True).start()
        try:
            answer = answers.get(timeout=ANSWER_S)
        except queue.Empty:
            answer = NotReachable(f"no answer in {ANSWER_S:g} s")
        if isinstance(answer, HeadraceError):
            raise TransientError(
                f"{told(name)} is unknown here, and the registry does not answer: {answer}"
            ) from answer
        return answer

    def _answer(self, name: SchemaName) -> dict[SchemaName, Registered]:
        """Every version by its names; where a GUID is not among them the registry may know its schema all the same."""
        known = by_name(self._registry.all())
        if isinstance(name, bytes) and name not in known and (found := self._registry.by_guid(name)) is not None:
            known[name] = found
        return known
