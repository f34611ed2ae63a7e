"""Batches go to the agents, and the engine's thread waits for their acknowledgements: every wait has a bound."""

import threading
import time
from collections.abc import Callable, Sequence

from streams.engine.batch import Batch
from streams.engine.cycle import AgentFailed, Cycle

ACK_TIMEOUT_S = 8.0  # less than the transaction's timeout: a cycle that is given up is still ours to abort
STOP_ACK_TIMEOUT_S = 5.0
LATE_TIMES = 4  # times ACK_TIMEOUT_S: half a minute for an agent that is slow, before it counts as stuck
_LOOK_S = 0.25

Deliver = Callable[[Sequence[Batch], Cycle], None]


class Handover:
    """Hands batches over and waits.

    Args:
        deliver: puts batches into the agents' queues.
        stop: set when the worker wants to end.
    """

    def __init__(self, deliver: Deliver, stop: threading.Event) -> None:
        self._deliver = deliver
        self._stop = stop
        self._late: list[Batch] = []

    def run(self, cycle: Cycle, batches: Sequence[Batch]) -> None:
        """Let the agents handle `batches`.

        Raises:
            AgentFailed: an agent gave its batch up, or did not finish it in time.
        """
        cycle.expect(len(batches))
        self._deliver(batches, cycle)
        end = time.monotonic() + ACK_TIMEOUT_S
        while not cycle.wait(_LOOK_S):
            now = time.monotonic()
            if self._stop.is_set():
                end = min(end, now + STOP_ACK_TIMEOUT_S)
            if now >= end:
                self._late = [batch for batch in batches if not batch.done]
                late = self._late[0] if self._late else batches[0]
                raise AgentFailed(
                    "timeout", f"the agent of {late.topic} did not finish {late.where()} in {ACK_TIMEOUT_S:.0f} s"
                )

    def await_late(self) -> None:
        """Let agents finish what they hold of a cycle that was given up: else that counts against the next one too."""
        end = time.monotonic() + LATE_TIMES * ACK_TIMEOUT_S
        while not all(batch.done for batch in self._late) and time.monotonic() < end and not self._stop.wait(0.05):
            pass
        self._late = []
