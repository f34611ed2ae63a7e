"""What an HTTP answer means for a call. Pure.

2xx succeeds. 408, 429, 5xx and an answer that does not come are transient: the same request may succeed later. So is a
redirect, which an idempotent POST must not follow blindly: the address is wrong until somebody mends it. All other
4xx fail: the peer has understood and refuses.
"""

from dataclasses import dataclass
from enum import StrEnum

import orjson

from streams.errors import InvalidMessage, TransientError

_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS = 408, 429


class Outcome(StrEnum):
    """What became of a request; also the label of its metric."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TRANSIENT = "transient"
    REFUSED = "refused"  # by the open circuit, before it was made


class PeerUnavailable(TransientError):
    """The peer did not answer, or said that it cannot now.

    Args:
        message: what was asked and what came.
        at_once: whether asking again a moment later may help; one that is asked too often wants to be left alone.
    """

    def __init__(self, message: str, *, at_once: bool = True) -> None:
        super().__init__(message)
        self.at_once = at_once


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that settles a call: its status and body."""

    status: int
    body: bytes

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        return outcome_of(self.status)


def outcome_of(status: int) -> Outcome:
    """What an HTTP status means."""
    if 200 <= status < 300:  # noqa: PLR2004 RFC 9110, section 15
        return Outcome.SUCCEEDED
    if 400 <= status < 500 and status not in {_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS}:  # noqa: PLR2004 the same
        return Outcome.FAILED
    return Outcome.TRANSIENT


def settled(status: int, body: bytes, asked: str) -> Answer:
    """The answer that settles the call.

    Raises:
        PeerUnavailable: the call has to be made again.
    """
    answer = Answer(status, body)
    if answer.outcome is Outcome.TRANSIENT:
        raise PeerUnavailable(f"{asked}: answered {status}", at_once=status != _TOO_MANY_REQUESTS)
    return answer


def answered_fields(answer: Answer) -> dict[str, object]:
    """The JSON object of an answer; without one it says nothing but its status.

    Raises:
        InvalidMessage: a success has a body that is something else, which is not quoted: who knows what is in it. Of
            a refusal, which proxies write too, none is expected.
    """
    try:
        found = orjson.loads(answer.body) if answer.body.strip() else {}
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return found
    if answer.outcome is Outcome.FAILED:
        return {}
    raise InvalidMessage(f"the answer {answer.status}: expected a JSON object, got {len(answer.body)} bytes of else")
