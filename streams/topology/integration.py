"""Sections of the integration stages: transformations, mappings, patterns, calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from streams.topology.conditions import Condition, Scalar
from streams.topology.located import Located
from streams.topology.operations import SECOND_MS
from streams.topology.shapes import (
    FROM_KEY,
    NON_EMPTY,
    Between,
    Count,
    CountOrZero,
    Duration,
    Matching,
    MessageField,
    Name,
    PayloadField,
    TaggedBy,
)

Url = Annotated[str, Matching(r"https?://[^\s/]+\S*", "an address as http://host or https://host")]


@dataclass(frozen=True, kw_only=True)
class Transformation(Located):
    """Messages of `source` become messages of contract `to`; without `from_`, from the message's own."""

    source: str
    from_: str | None = None
    to: str
    destination: str
    stage: Name = "transformer"


Cast = Literal[
    "string", "int", "long", "float", "double", "decimal", "boolean", "enum", "uuid", "date", "time", "timestamp"
]


@dataclass(frozen=True, kw_only=True)
class Split(Located):
    """Text cut at every `by`: all parts, or the one with this number, from 0."""

    from_: str
    by: Annotated[str, Matching(r"(?s).{1,100}", "a text of 1 to 100 characters")]
    part: Annotated[int, Between(0, 10_000)] | None = None


@dataclass(frozen=True, kw_only=True)
class TableLookup(Located):
    """The value that `table` has for the field `key`: a table written out, or the name of a stage's table."""

    table: Mapping[str, Scalar] | str
    key: str


@dataclass(frozen=True, kw_only=True)
class FieldMapping(Located):
    """How one field of the target comes about; which keys go together is transforming's to check."""

    name: Annotated[str, FROM_KEY]
    from_: str | None = None
    cast: Cast | None = None
    default: Scalar | None = None
    constant: Scalar | None = None
    concat: Annotated[tuple[str, ...], NON_EMPTY] | None = None
    split: Split | None = None
    lookup: TableLookup | None = None
    each: str | None = None
    fields: "Annotated[Mapping[str, FieldMapping], NON_EMPTY] | None" = None


@dataclass(frozen=True, kw_only=True)
class ConversionMapping(Located):
    """A declarative converter between two contracts."""

    from_: str
    to: str
    cost: Count = 1
    fields: Annotated[Mapping[str, FieldMapping], NON_EMPTY]


@dataclass(frozen=True, kw_only=True)
class Splitter(Located):
    """One message for each item of a list."""

    kind: Literal["splitter"] = "splitter"
    name: Name
    source: str
    items: PayloadField
    to: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class Completion(Located):
    """When a group is whole: after `count` messages (a number, or a field with it), by `condition`, or at `timeout`."""

    count: int | str | None = None
    condition: Condition | None = None
    timeout: Duration | None = None


@dataclass(frozen=True, kw_only=True)
class Aggregator(Located):
    """One message for a group of correlated ones."""

    kind: Literal["aggregator"] = "aggregator"
    name: Name
    source: str
    correlate: MessageField
    complete: Completion
    to: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class WireTap(Located):
    """A copy of every message."""

    kind: Literal["wire_tap"] = "wire_tap"
    name: Name
    source: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class Enricher(Located):
    """Messages completed with a row of a table."""

    kind: Literal["enricher"] = "enricher"
    name: Name
    source: str
    table: str
    key: MessageField
    to: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class IdempotentReceiver(Located):
    """Each message id once within a window of milliseconds."""

    kind: Literal["idempotent_receiver"] = "idempotent_receiver"
    name: Name
    source: str
    window: Duration
    destination: str


Pattern = Annotated[Splitter | Aggregator | WireTap | Enricher | IdempotentReceiver, TaggedBy("kind")]


@dataclass(frozen=True, kw_only=True)
class Request(Located):
    """The HTTP request that a call makes."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: Annotated[str, Matching(r"/\S*", "a path that starts with /")] = "/"
    idempotency_header: str = "Idempotency-Key"


@dataclass(frozen=True, kw_only=True)
class CallResult(Located):
    """Commands that carry a call's outcome back to the aggregate."""

    succeeds_with: str
    fails_with: str


@dataclass(frozen=True, kw_only=True)
class CircuitBreaker(Located):
    """Opens after so many failures; tries again after `reset` milliseconds."""

    failures: Count = 5
    reset: Duration = 10 * SECOND_MS


@dataclass(frozen=True, kw_only=True)
class Call(Located):
    """HTTP to the outside, in a stage `calls.<name>` of its own; `timeout` in milliseconds.

    `source` is the topic of its intents; None for the events of all aggregates.
    """

    name: Name
    url: Url
    on: str
    source: str | None = None
    request: Request = field(default_factory=Request)
    result: CallResult
    timeout: Duration = 2 * SECOND_MS
    retries: CountOrZero = 4
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    concurrency: Annotated[int, Between(1, 10_000)] = 32
