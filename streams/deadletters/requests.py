"""Requests about letters, as records on the dead letter stage's own redrive topic. Pure.

A request names a letter and the position of the failure it is about. So one that comes twice, or late, does nothing:
the letter has moved on. Whoever was interrupted may ask for everything again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from streams.deadletters.letter import LetterId, Position
from streams.engine.returning import ACTION
from streams.errors import InvalidMessage

STAGE = "deadletters"
LETTER, POSITION = "headrace-letter", "headrace-letter-position"


class Action(StrEnum):
    """What is asked for."""

    REDRIVE = "redrive"
    DISCARD = "discard"
    TOLD = "told"  # the webhook has heard of it


@dataclass(frozen=True, slots=True)
class Request:
    """One letter, and what to do with it."""

    action: Action
    letter: LetterId
    position: Position

    @property
    def partition(self) -> int:
        """Partition of the topic of requests: where the letter's row is."""
        return self.position.partition

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        """The record's headers; it has no value."""
        said = ((ACTION, self.action.value), (LETTER, str(self.letter)), (POSITION, str(self.position)))
        return [(name, text.encode()) for name, text in said]


def request_of(headers: Sequence[tuple[str, bytes | None]]) -> Request:
    """Request of a record.

    Raises:
        InvalidMessage: it is none.
    """
    said: Mapping[str, str] = {name: (value or b"").decode("utf-8", "replace") for name, value in headers}
    try:
        action = Action(said.get(ACTION, ""))
        return Request(action, LetterId.parse(said.get(LETTER, "")), Position.parse(said.get(POSITION, "")))
    except ValueError as error:
        expected = f"expected headers {ACTION}, {LETTER} and {POSITION} of a request about a dead letter"
        raise InvalidMessage(f"{expected}: {error}") from None
