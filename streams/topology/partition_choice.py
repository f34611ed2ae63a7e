"""Which partitions of a stage's sources `--topic t[:0,1]` means. Pure."""

import re
from collections.abc import Mapping, Sequence

from streams.errors import HeadraceError, UsageError
from streams.topology.replay import Partition

# Topic -> the partitions named, None for all of them.
Choice = Mapping[str, frozenset[int] | None]

_NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")


def parse_choice(texts: Sequence[str], stage: str, sources: Sequence[str]) -> Choice:
    """What was named; all sources where nothing was. A topic that is named whole and in part is meant whole.

    Raises:
        UsageError: a text is of another form, or names no source of the stage.
    """
    choice: dict[str, frozenset[int] | None] = {}
    for text in texts:
        topic, colon, numbers = text.partition(":")
        if topic not in sources:
            raise UsageError(f"topic {topic!r} is no source of stage {stage}; it reads {', '.join(sources)}")
        if colon and not _NUMBERS.fullmatch(numbers):
            raise UsageError(f"--topic: expected topic or topic:0,1,..., got {text!r}")
        named = frozenset(map(int, numbers.split(","))) if colon else None
        before = choice.get(topic, frozenset())
        choice[topic] = None if named is None or before is None else before | named
    return choice or dict.fromkeys(sources)


def chosen_partitions(choice: Choice, counts: Mapping[str, int]) -> list[Partition]:
    """The partitions, in order.

    Args:
        choice: from `parse_choice`.
        counts: partitions of each topic of the cluster.

    Raises:
        HeadraceError: a topic is not on the cluster.
        UsageError: a topic has no such partition.
    """
    chosen: list[Partition] = []
    for topic, named in choice.items():
        if topic not in counts:
            raise HeadraceError(f"topic {topic} is not on the cluster; run `headrace topology apply`")
        if beyond := [number for number in sorted(named or ()) if number >= counts[topic]]:
            raise UsageError(f"topic {topic} has partitions 0 to {counts[topic] - 1}, got {beyond[0]}")
        chosen += [Partition(topic, number) for number in (range(counts[topic]) if named is None else named)]
    return sorted(chosen)


def those_given(
    choice: Choice, chosen: Sequence[Partition], given: Mapping[Partition, int], sources: Sequence[str], name: str
) -> list[Partition]:
    """Of the partitions chosen, those that a file has offsets for; `--topic` leaves out others of the stage.

    Raises:
        HeadraceError: the file is of another stage or topic, lacks a partition that was named, or has none that was
            chosen.
    """
    foreign = [each for each in given if each.topic not in sources]
    foreign += [each for each in given if choice.get(each.topic, ()) is None and each not in chosen]
    if foreign:
        raise HeadraceError(f"{name} has an offset for {foreign[0]}, which is no partition of the stage's sources")
    lacking = [each for each in chosen if each not in given and choice[each.topic] is not None]
    if lacking:
        raise HeadraceError(f"{name} has no offset for {lacking[0]}")
    kept = [each for each in chosen if each in given]
    if not kept:
        raise HeadraceError(f"{name} has no offset for any partition of {', '.join(choice)}")
    return kept
