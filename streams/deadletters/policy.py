"""What becomes of a letter by itself: which return, how often and when, and where the others are shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.deadletters.letter import State
from streams.engine.retrying import RetryPolicy
from streams.errors import Category
from streams.topology.operations import SECOND_MS, Failures

REVIEW, NOTIFICATIONS, ARCHIVE = "headrace.review", "headrace.notifications", "headrace.archive"


@dataclass(frozen=True, slots=True)
class Fate:
    """What is done with a letter that has come.

    Args:
        state: of its row.
        copy_to: topic that gets a copy of it, if any.
        returns: it is sent back after the backoff.
    """

    state: State
    copy_to: str | None = None
    returns: bool = False


_FATES: Mapping[str, Fate] = {
    Category.INVALID_FORMAT: Fate(State.REVIEWED, REVIEW),
    Category.UNROUTABLE: Fate(State.REVIEWED, REVIEW),
    Category.BUSINESS_RULE: Fate(State.NOTIFIED, NOTIFICATIONS),
    Category.EXPIRED: Fate(State.ARCHIVED, ARCHIVE),
    Category.UNKNOWN: Fate(State.ARCHIVED, ARCHIVE),
}
COPIES = frozenset({REVIEW, NOTIFICATIONS, ARCHIVE})


@dataclass(frozen=True, slots=True)
class LetterPolicy:
    """`failures.redrive` and `failures.notify` of topology.yaml.

    Args:
        automatic: categories that return by themselves.
        attempts: after so many redrives, whoever asked for them, a letter waits for people.
        backoff: how long the next one is put off.
        webhook: URL that is told of BUSINESS_RULE letters, or None.
        returning: stages that take letters back.
    """

    automatic: frozenset[str]
    attempts: int
    backoff: RetryPolicy
    webhook: str | None = None
    returning: frozenset[str] = frozenset()

    def fate(self, category: str, stage: str, redrives: int) -> Fate:
        """What is done with a letter of a category that has been sent back so many times."""
        if category in self.automatic and stage in self.returning and redrives < self.attempts:
            return Fate(State.NEW, returns=True)
        return _FATES.get(category, Fate(State.NEW))

    def due_ms(self, now_ms: int, redrives: int, chance: float) -> int:
        """When a letter returns that comes now, after so many redrives; `chance` is from 0 to 1."""
        return now_ms + round(1000 * self.backoff.backoff_s(redrives + 1, chance))


def letter_policy(failures: Failures, returning: frozenset[str]) -> LetterPolicy:
    """What topology.yaml says of letters."""
    redrive, backoff = failures.redrive, failures.redrive.backoff
    return LetterPolicy(
        automatic=frozenset(category.value for category in redrive.automatic),
        attempts=redrive.attempts,
        backoff=RetryPolicy(
            initial_s=backoff.initial / SECOND_MS,
            factor=backoff.factor,
            max_s=backoff.max / SECOND_MS,
            jitter=backoff.jitter,
        ),
        webhook=failures.notify.webhook,
        returning=returning,
    )
