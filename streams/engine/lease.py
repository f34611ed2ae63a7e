"""How long a worker may answer for its partitions without asking its group again (docs/decisions/0016). Pure.

A worker that was frozen or cut off does not know that others have taken its partitions over. A transaction's offsets
are accepted from a member of the group only (KIP-447), so a commit proves that the worker was one when it began.
"""

import time
from collections.abc import Callable

from streams.engine.clients import SESSION_TIMEOUT_MS

LEASE_S = SESSION_TIMEOUT_MS / 2 / 1000  # a member whose commit was accepted is not removed sooner
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Seconds that go on while the process is stopped and, on Linux, while the machine is suspended."""
    return time.clock_gettime(_CLOCK_ID)


class Lease:
    """Renewed by each commit; written by the engine's thread, read by any.

    Args:
        renewable: False where another process may take this one's place in the group at once, as with static
            membership: then a commit of a moment ago proves nothing, and the group is asked every time.
        now: the clock.
    """

    def __init__(self, *, renewable: bool, now: Callable[[], float] = clock) -> None:
        self.now = now
        self._renewable = renewable
        self._proven_at = float("-inf")

    def renew(self, proven_at: float) -> None:
        """The group has accepted what was sent after `proven_at`."""
        if self._renewable:
            self._proven_at = proven_at

    def drop(self) -> None:
        """Something failed: until the next commit nothing is proven."""
        self._proven_at = float("-inf")

    def holds(self) -> bool:
        """Whether this worker is still what its last commit proved it to be."""
        return self.now() - self._proven_at < LEASE_S
