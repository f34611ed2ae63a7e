"""Schema versions that were registered after this worker started.

The registry is asked only when an id comes that nobody knows, and not often: a flood of garbage ids must not turn into
a flood of questions, each of which holds up the stage for a tenth of a second. An answer is all of the registry, so it
settles every id at once, and the flood cannot hide a version that was registered meanwhile.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from streams.errors import HeadraceError, NotReachable, TransientError
from streams.messages.registry import Registered

ASK_AGAIN_S = 10.0  # how long an id that was asked for stays unknown
BURST = 5  # questions that may follow one another
ANSWER_S = 3.0  # of the 8 s that an agent has for a batch
REFILL_S = 1.0  # seconds for one more
NEXT_IDS = 5  # a registry counts up, so these above its largest id may be its next ones
_REMEMBERED = 10_000


class ListsAll(Protocol):
    """The part of a registry that is asked."""

    def all(self) -> list[Registered]:
        """Every registered version."""


class LateSchemas:
    """Looks up schema ids that are not known yet, at a bounded rate.

    Args:
        registry: asked for all that it has.
        clock: seconds that only grow.
        known: what it had when the stage started.
        sleep: waits so many seconds of that clock.
    """

    def __init__(
        self,
        registry: ListsAll,
        clock: Callable[[], float],
        known: Iterable[Registered] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._sleep = sleep
        self._known = {each.id: each for each in known}
        self._unknown_since: dict[int, float] = {}
        self._questions = float(BURST)
        self._counted_at = clock()

    def find(self, schema_id: int) -> Registered | None:
        """The version with this id; None where it is unknown, or was a moment ago.

        Raises:
            TransientError: the registry does not answer.
        """
        found = self._known.get(schema_id)
        if found is not None:
            return found
        now = self._clock()
        since = self._unknown_since.get(schema_id)
        if since is not None and now - since < ASK_AGAIN_S:
            return None
        if not self._may_ask(now, waits=self._may_be_next(schema_id)):
            return None
        self._known = {each.id: each for each in self._ask(schema_id)}
        found = self._known.get(schema_id)
        if found is None:
            if len(self._unknown_since) >= _REMEMBERED:
                self._unknown_since.clear()
            self._unknown_since[schema_id] = self._clock()
        return found

    def _may_be_next(self, schema_id: int) -> bool:
        largest = max(self._known, default=0)
        return largest < schema_id <= largest + NEXT_IDS

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

    def _ask(self, schema_id: int) -> list[Registered]:
        """Ask in a thread that can be left behind: a registry that hangs must not use up the batch's time."""
        answers: queue.SimpleQueue[list[Registered] | HeadraceError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._registry.all())
            except HeadraceError as error:
                answers.put(error)

        threading.Thread(target=ask, name="late-schema", daemon=True).start()
        try:
            answer = answers.get(timeout=ANSWER_S)
        except queue.Empty:
            answer = NotReachable(f"no answer in {ANSWER_S:g} s")
        if isinstance(answer, HeadraceError):
            raise TransientError(
                f"schema id {schema_id} is unknown here, and the registry does not answer: {answer}"
            ) from answer
        return answer
