"""When a failed record is tried again, for how long, and when failures mean that the other side is down. Pure."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from streams.errors import Category
from streams.topology.operations import SECOND_MS, FailureOverrides, Failures

RETRIED = frozenset({Category.TRANSIENT, Category.UNKNOWN})
# Letters of these categories hold their key where order matters; the others say nothing of the key's next records.
HOLDING = frozenset({Category.TRANSIENT, Category.UNKNOWN, Category.BUSINESS_RULE, Category.HELD})

MOST_PARKED_OF_A_KEY = 10_000
MOST_PARKED_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What a stage does with a record that fails.

    Args:
        retries: attempts after the first, for TRANSIENT and UNKNOWN failures.
        initial_s: backoff before the first retry, in seconds.
        factor: by which each further one is longer.
        max_s: the longest backoff, in seconds.
        jitter: share of the backoff by which it is varied, up or down.
        order: `key`: a letter holds its key until it is redriven or discarded; `none`: other records go on.
        outage_failures: transient failures of so many keys within `outage_within_s` mean an outage.
        outage_within_s: seconds.
        most_of_a_key: records of one key that may be parked.
        most_bytes: bytes of parked records of one partition.
    """

    retries: int = 3
    initial_s: float = 1.0
    factor: float = 2.0
    max_s: float = 60.0
    jitter: float = 0.2
    order: Literal["key", "none"] = "key"
    outage_failures: int = 5
    outage_within_s: float = 10.0
    most_of_a_key: int = MOST_PARKED_OF_A_KEY
    most_bytes: int = MOST_PARKED_BYTES

    def backoff_s(self, attempts: int, chance: float) -> float:
        """Seconds to wait after `attempts` failures; `chance` is from 0 to 1 and varies them."""
        exponent = min(attempts - 1, 64)  # past this any factor has reached the longest
        delay = min(self.initial_s * self.factor**exponent, self.max_s)
        return delay * (1 + self.jitter * (2 * chance - 1))

    def holds(self, category: Category) -> bool:
        """Whether a letter of this category holds its key."""
        return self.order == "key" and category in HOLDING


def policy_of(failures: Failures, stage: str) -> RetryPolicy:
    """What topology.yaml says of a stage's failures."""
    defaults, outage = failures.defaults, failures.outage
    own = failures.stages.get(stage) or FailureOverrides(name=stage)
    backoff = own.backoff or defaults.backoff
    return RetryPolicy(
        retries=defaults.retries if own.retries is None else own.retries,
        initial_s=backoff.initial / SECOND_MS,
        factor=backoff.factor,
        max_s=backoff.max / SECOND_MS,
        jitter=backoff.jitter,
        order=own.order or defaults.order,
        outage_failures=outage.failures,
        outage_within_s=outage.within / SECOND_MS,
    )


class CircuitState(Enum):
    """Whether a partition takes records."""

    CLOSED = auto()
    OPEN = auto()
    PROBING = auto()


class Circuit:
    """Tells an outage from a poison record: transient failures of several keys in a short time.

    While it is open the partition stands still. Then one try is let through: where that fails too, the wait
    doubles and no attempt is counted; where it succeeds, all goes on.

    Args:
        policy: how many failures in how long, and how long to wait.
        chance: from 0 to 1, asked for each wait.
    """

    def __init__(self, policy: RetryPolicy, chance: Callable[[], float]) -> None:
        self._policy = policy
        self._chance = chance
        self._failures: OrderedDict[bytes, float] = OrderedDict()
        self._opened = 0
        self.state = CircuitState.CLOSED
        self.until = 0.0

    def failed(self, queue: bytes, now: float) -> bool:
        """Note a transient failure of a key; whether the circuit is open now."""
        if self.state is CircuitState.OPEN:
            return True  # it was begun before the others failed, and says nothing new
        if self.state is CircuitState.CLOSED:
            self._failures[queue] = now
            self._failures.move_to_end(queue)
            while self._failures and next(iter(self._failures.values())) <= now - self._policy.outage_within_s:
                self._failures.popitem(last=False)
            if len(self._failures) < self._policy.outage_failures:
                return False
        self._opened += 1
        self.state = CircuitState.OPEN
        self.until = now + self._policy.backoff_s(self._opened, self._chance())
        return True

    def try_again(self, now: float) -> bool:
        """Whether records may be tried; the first time after the wait, only as a probe."""
        if self.state is CircuitState.OPEN and now >= self.until:
            self.state = CircuitState.PROBING
        return self.state is not CircuitState.OPEN

    def succeeded(self) -> None:
        """A record was handled: the other side is there."""
        if self.state is CircuitState.PROBING:
            self.state = CircuitState.CLOSED
            self._failures.clear()
            self._opened = 0
