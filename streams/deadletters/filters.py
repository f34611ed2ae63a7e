"""Which letters are meant, and how they are counted together. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from streams.deadletters.letter import Letter, State, key_text, rfc3339
from streams.errors import Category, UsageError
from streams.messages.key_text import bytes_of
from streams.topology.instants import parse_datetime

GROUPED_BY = ("stage", "category", "exception", "route", "state")


@dataclass(frozen=True, slots=True)
class Filters:
    """Letters for which everything holds that is not empty. `since` is included, `until` is not.

    `state` is a state, or `open` for those that may be redriven or discarded.
    """

    category: str = ""
    exception: str = ""
    stage: str = ""
    route: str = ""
    key: str = ""
    state: str = ""
    since: str = ""
    until: str = ""

    def matches(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        return (
            (not self.category or letter.category == self.category)
            and (not self.exception or letter.exception == self.exception)
            and (not self.stage or letter.stage == self.stage)
            and (not self.route or letter.route == self.route)
            and (not self.key or letter.key == self.key)
            and (not self.state or (letter.is_open if self.state == "open" else letter.state == self.state))
            and (not self.since or letter.last_failed_at >= self.since)
            and (not self.until or letter.last_failed_at < self.until)
        )

    def given(self) -> dict[str, str]:
        """Those that are not empty, by name."""
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name)}

    @property
    def prefix(self) -> bytes:
        """With what the rows of all letters begin that are meant."""
        return f"{self.stage}:".encode() if self.stage else b""


FILTERS = tuple(field.name for field in fields(Filters))
_CHOICES: Mapping[str, Sequence[str]] = {
    "category": [category.value for category in Category],
    "state": ["open", *(state.value for state in State)],
}


def parse_filters(given: Mapping[str, str | None]) -> Filters:
    """Filters as people write them; times become the form that letters have.

    Raises:
        UsageError: naming the first that is none.
    """
    said = {name: text for name in FILTERS if (text := given.get(name))}
    for name, choices in _CHOICES.items():
        if name in said and said[name] not in choices:
            raise UsageError(f"{name}: expected one of {', '.join(choices)}, got {said[name]!r:.60}")
    for name in ("since", "until"):
        if name in said:
            try:
                said[name] = rfc3339(parse_datetime(said[name]))
            except (UsageError, OverflowError, ValueError, OSError) as error:
                raise UsageError(f"{name}: {error}") from None
    if "key" in said:
        try:
            said["key"] = key_text(bytes_of(said["key"]))
        except ValueError as error:
            raise UsageError(f"key: {error}") from None
    return Filters(**said)


class Grouping:
    """Counts letters that agree in what they are grouped by; memory grows with the groups, not with the letters.

    Args:
        by: fields of a letter.
    """

    def __init__(self, by: Sequence[str] = GROUPED_BY) -> None:
        self.by = tuple(by)
        self._counts: Counter[tuple[str | None, ...]] = Counter()
        self._last: dict[tuple[str | None, ...], str] = {}
        self._first: dict[tuple[str | None, ...], str] = {}

    def add(self, letters: Iterable[Letter]) -> None:
        """Count some."""
        for letter in letters:
            group = tuple(getattr(letter, name) for name in self.by)
            self._counts[group] += 1
            at = letter.last_failed_at
            self._last[group] = max(at, self._last.get(group, at))
            self._first[group] = min(at, self._first.get(group, at))

    def rows(self) -> list[dict[str, str | int | None]]:
        """Groups, the largest first."""
        ordered = sorted(self._counts.items(), key=lambda each: (-each[1], [text or "" for text in each[0]]))
        return [
            {
                **dict(zip(self.by, group, strict=True)),
                "letters": count,
                "first_failed_at": self._first[group],
                "last_failed_at": self._last[group],
            }
            for group, count in ordered
        ]
