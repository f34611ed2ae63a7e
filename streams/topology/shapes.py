"""What a field of the model may hold beyond its Python type; decoding.py reads it from `Annotated` types."""

from dataclasses import dataclass
from typing import Annotated, Final


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that a regular expression matches whole; `what` names it in the error, `words` are near misses."""

    pattern: str
    what: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NonEmpty:
    """A list or mapping with at least one item."""


@dataclass(frozen=True, slots=True)
class UniqueBy:
    """A list in which no two items have the same value of one key."""

    key: str


@dataclass(frozen=True, slots=True)
class TaggedBy:
    """A union of classes told apart by the value of one key, whose type is a `Literal`."""

    key: str


@dataclass(frozen=True, slots=True)
class _Duration:
    """Text such as 500ms, 30s, 5m, 12h or 7d; milliseconds in the model."""


@dataclass(frozen=True, slots=True)
class _FromKey:
    """The field is not written: it is the key under which its mapping stands."""


FROM_KEY: Final = _FromKey()
DURATION: Final = _Duration()
NON_EMPTY: Final = NonEmpty()
UNIQUE_NAMES: Final = UniqueBy("name")

_ATTRIBUTES = ("message_type", "message_id", "correlation_id", "source", "timestamp", "key")
_PAYLOAD = r"payload(\.[^.\[\]\s]+|\[(\d{1,9}|\*)\])+"

Duration = Annotated[int, DURATION]
Count = Annotated[int, Between(1, 1_000_000_000)]
CountOrZero = Annotated[int, Between(0, 1_000_000_000)]
# Stage names become parts of topic names (`headrace.<stage>.<table>.changelog`) and of group names.
Name = Annotated[str, Matching(r"[A-Za-z0-9._-]{1,100}", "a name of letters, digits, . _ and -")]
PythonClass = Annotated[str, Matching(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "a Python class as module:Class")]
PayloadField = Annotated[str, Matching(_PAYLOAD, "a field as payload.<path>")]
MESSAGE_FIELD: Final = Matching(
    rf"{'|'.join(_ATTRIBUTES)}|headers\.[^\x00-\x1f\x7f]+|{_PAYLOAD}",
    f"a field: {', '.join(_ATTRIBUTES)}, headers.<name> or payload.<path>",
    _ATTRIBUTES,
)
MessageField = Annotated[str, MESSAGE_FIELD]
