"""Positions as callers write them: `topic/partition=offset`, several separated by commas. Pure.

An offset is that of a record, and a view has passed a position when it reflects that record. -1 stands before the
first record, so every view that is open has passed it.
"""

import re
from collections.abc import Iterable, Mapping

from streams.engine.stage import TP, StageSpec
from streams.web.refusals import invalid

MIN_POSITION = "Min-Position"
_FORM = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,6})=(-1|[0-9]{1,18})")  # an offset is a signed 64-bit number


def positions_of(headers: Iterable[str]) -> dict[TP, int]:
    """Positions in all Min-Position headers of a request; of several in one partition the farthest counts.

    Raises:
        Refusal: 400, malformed.
    """
    found: dict[TP, int] = {}
    for part in (part.strip() for header in headers for part in header.split(",")):
        match = _FORM.fullmatch(part)
        if match is None:
            raise invalid(f"{MIN_POSITION}: expected topic/partition=offset, several separated by commas")
        tp = TP(match[1], int(match[2]))
        found[tp] = max(found.get(tp, -1), int(match[3]))
    return found


def text_of_positions(positions: Mapping[TP, int]) -> str:
    """Header that `positions_of` reads back."""
    return ", ".join(f"{tp}={offset}" for tp, offset in sorted(positions.items()))


def check_positions(positions: Mapping[TP, int], spec: StageSpec, partitions: int) -> None:
    """Refuse positions that no view of the stage can ever pass.

    Raises:
        Refusal: 400, the topic is not a source of the stage, or lacks the partition.
    """
    for tp in positions:
        if tp.topic not in spec.sources:
            raise invalid(f"{MIN_POSITION}: expected a source of {spec.name} ({', '.join(spec.sources)}), got another")
        if tp.partition >= partitions:
            raise invalid(f"{MIN_POSITION}: {tp.topic} has {partitions} partitions, got {tp.partition}")
