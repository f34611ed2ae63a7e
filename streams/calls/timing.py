"""How the time of a cycle is shared between calls: what is begun in a transaction has to end in it. Pure.

An agent has 8 s for the batches of a poll, then its cycle is given up and all of its calls would be made again
(engine/handover.py). A call gets a part of that, with its repetitions; in what is left before it further calls may
begin.
"""

from dataclasses import dataclass
from typing import Final

from streams.topology.integration import Call
from streams.topology.operations import SECOND_MS

CYCLE_S: Final = 7.0  # of 8; the rest is for what comes after the last answer
USUAL_CALL_S: Final = 3.5
LONGEST_TIMEOUT_S: Final = 6.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds.

    Args:
        request_s: that one request may take.
        call_s: that a call may take with all its requests and the pauses between them.
    """

    request_s: float
    call_s: float

    @property
    def begin_s(self) -> float:
        """How long further calls may begin, from the hand-over on."""
        return CYCLE_S - self.call_s


def timing_of(call: Call) -> Timing:
    """The times of a call that lint has passed."""
    request_s = call.timeout / SECOND_MS
    return Timing(request_s, max(request_s, USUAL_CALL_S))
