"""The circuit breaker of a call: a peer that fails again and again is left alone for a while. Pure, time comes in.

Open, it refuses every request; after the reset it lets one through, whose outcome decides for all. A trial that never
ends (its agent was stopped) is followed by another after one more reset.
"""


class CircuitBreaker:
    """Counts failures in a row.

    Args:
        failures: so many open the circuit.
        reset_s: how long it stays open before one request is tried, in seconds.
    """

    def __init__(self, failures: int, reset_s: float) -> None:
        self._limit = failures
        self._reset_s = reset_s
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are refused, but for the one that tries."""
        return self._failures >= self._limit

    def admits(self, now: float) -> bool:
        """Whether a request may be made at `now` (monotonic seconds); of an open circuit one a reset."""
        if not self.is_open:
            return True
        if now < self._until:
            return False
        self._until = now + self._reset_s
        return True

    def succeeded(self) -> None:
        """The peer answered: the circuit is closed."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """The peer did not answer, or could not."""
        self._failures += 1
        if self.is_open:
            self._until = now + self._reset_s
