"""Schema versions that were registered after this worker started.

The registry is asked only for ids that nobody knows, and not often: a flood of garbage ids must not turn into a flood
of questions, each of which holds up the stage for a tenth of a second.
"""

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from streams.errors import HeadraceError, NotReachable, TransientError
from streams.messages.registry import Registered

ASK_AGAIN_S = 10.0  # how long an id stays unknown
BURST = 5  # questions that may follow one another
ANSWER_S = 3.0  # of the 8 s that an agent has for a batch
REFILL_S = 1.0  # seconds for one more
_REMEMBERED = 10_000


class FindsById(Protocol):
    """The part of a registry that is asked."""

    def by_id(self, schema_id: int) -> Registered | None:
        """The version with this id, or None."""


class LateSchemas:
    """Looks up unknown schema ids, at a bounded rate.

    Args:
        registry: asked for ids.
        clock: seconds that only grow.
    """

    def __init__(self, registry: FindsById, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._unknown_since: dict[int, float] = {}
        self._questions = float(BURST)
        self._counted_at = clock()

    def find(self, schema_id: int) -> Registered | None:
        """The version with this id; None where it is unknown, or was a moment ago.

        Raises:
            TransientError: the registry does not answer.
        """
        now = self._clock()
        since = self._unknown_since.get(schema_id)
        if since is not None and now - since < ASK_AGAIN_S:
            return None
        self._questions = min(BURST, self._questions + (now - self._counted_at) / REFILL_S)
        self._counted_at = now
        if self._questions < 1:
            return None
        self._questions -= 1
        found = self._ask(schema_id)
        if found is None:
            if len(self._unknown_since) >= _REMEMBERED:
                self._unknown_since.clear()
            self._unknown_since[schema_id] = now
        else:
            self._unknown_since.pop(schema_id, None)
        return found

    def _ask(self, schema_id: int) -> Registered | None:
        """Ask in a thread that can be left behind: a registry that hangs must not use up the batch's time."""
        answers: queue.SimpleQueue[Registered | HeadraceError | None] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._registry.by_id(schema_id))
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
