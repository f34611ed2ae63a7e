"""Sections of the integration stages: transformations, mappings, patterns, calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from streams.topology.conditions import Scalar
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


@dataclass(frozen=True, kw_only=True)
class FieldMapping(Located):
    """How one field of the target comes about."""

    EXACTLY_ONE: ClassVar = ("from", "default", "concat", "each")

    name: Annotated[str, FROM_KEY]
    from_: str | None = None
    cast: Literal["string", "int", "long", "float", "double", "decimal", "boolean"] | None = None
    default: Scalar | None = None
    concat: tuple[str, ...] | None = None
    each: str | None = None
    fields: "Mapping[str, FieldMapping] | None" = None


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
    """When a group is whole: after `count` messages (a number, or a field with it) or at `timeout`."""

    count: int | str | None = None
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
    """HTTP to the outside, in a stage `calls.<name>` of its own; `timeout` in milliseconds."""

    name: Name
    url: Url
    on: str
    request: Request = field(default_factory=Request)
    result: CallResult
    timeout: Duration = 2 * SECOND_MS
    retries: CountOrZero = 4
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    concurrency: Annotated[int, Between(1, 10_000)] = 32
