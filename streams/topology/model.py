"""The topology as the rest of the project sees it: topics, contracts, routers, other stages.

The classes are the schema too: decoding.py reads each field's type to check the file. A field that ends in an
underscore is the YAML key without it. Pure data: knows no YAML, no Kafka and no contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from streams.topology import names
from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition, Not, Operator, Scalar
from streams.topology.domain import Aggregate, Projection, Saga
from streams.topology.integration import Call, ConversionMapping, Pattern, Transformation
from streams.topology.located import Located
from streams.topology.operations import Alerts, Failures, Security, StageSettings
from streams.topology.shapes import (
    FROM_KEY,
    NON_EMPTY,
    UNIQUE_NAMES,
    Between,
    CountOrZero,
    Duration,
    Matching,
    MessageField,
    Name,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "Comparison",
    "Condition",
    "ContractSettings",
    "Destination",
    "Monitoring",
    "Not",
    "Operator",
    "Route",
    "Router",
    "Scalar",
    "Topic",
    "Topology",
]

# Headrace's clients write at most 64 MiB (design, the cycle); derived topics carry 64 KiB more than a source.
LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024 - 64 * 1024
# One request to the controller may not make more partitions than this (Kafka's MAX_PARTITIONS_PER_BATCH).
MOST_PARTITIONS = 10_000

Partitions = Annotated[int, Between(1, MOST_PARTITIONS)]
# Part of the key of the routes table, `<route>:<topic>:<partition>`, and of a web path.
RouteName = Annotated[str, Matching(r"[^\x00-\x1f\x7f:/]{1,200}", "a name of up to 200 characters without : and /")]


@dataclass(frozen=True, kw_only=True)
class Topic(Located):
    """A topic that people or other systems may name. `retention` is in milliseconds; None is the broker's."""

    name: Annotated[str, FROM_KEY]
    partitions: Partitions
    contracts: tuple[str, ...] = ()
    format: str | None = None
    retention: Duration | None = None
    max_message_bytes: Annotated[int, Between(1, LARGEST_MESSAGE_BYTES)] | None = None
    replication: Annotated[int, Between(1, 32_767)] | None = None


@dataclass(frozen=True, kw_only=True)
class ContractSettings(Located):
    """How a message of one type is keyed when Headrace itself makes it."""

    name: Annotated[str, FROM_KEY]
    key: MessageField


@dataclass(frozen=True, kw_only=True)
class WrittenDestination(Located):
    """A destination as the file has it."""

    EXACTLY_ONE: ClassVar = ("queue", "topic")

    queue: str | None = None
    topic: str | None = None
    subscription: Name | None = None
    dlq_after_retries: CountOrZero | None = None


@dataclass(frozen=True, kw_only=True)
class Destination(Located):
    """A topic that a route writes to: a queue (its one group has its name) or a topic with named readers.

    `dlq_after_retries` replaces the stage's retries for failures of this destination.
    """

    WRITTEN: ClassVar = WrittenDestination

    topic: str
    kind: Literal["queue", "topic"] = "topic"
    subscription: str | None = None
    dlq_after_retries: int | None = None

    @classmethod
    def from_written(cls, *, queue: str | None = None, topic: str | None = None, **rest: Any) -> Self:
        """Destination of a file's mapping, which has exactly one of `queue` and `topic`."""
        return cls(topic=queue or topic or "", kind="queue" if queue else "topic", **rest)

    @property
    def group(self) -> str | None:
        """Consumer group of its readers; None for a topic without a named one."""
        if self.kind == "queue":
            return self.topic
        return names.subscription_group(self.topic, self.subscription) if self.subscription else None


@dataclass(frozen=True, kw_only=True)
class Monitoring(Located):
    """What a route reports of itself."""

    alert_on_failure: bool = False
    track_latency: bool = False


@dataclass(frozen=True, kw_only=True)
class Route(Located):
    """Messages for which `conditions` holds enter every destination."""

    name: RouteName
    description: str = ""
    conditions: Condition = field(default_factory=lambda: AllOf(conditions=()))
    destinations: Annotated[tuple[Destination, ...], NON_EMPTY]
    monitoring: Monitoring = field(default_factory=Monitoring)


@dataclass(frozen=True, kw_only=True)
class Router(Located):
    """Content-based router of one source topic. `unmatched` is `deadletter`, `drop` or a topic."""

    source: str
    stage: Name = "router"
    mode: Literal["first", "all"] = "first"
    unmatched: str = "deadletter"
    routes: Annotated[tuple[Route, ...], NON_EMPTY, UNIQUE_NAMES]


@dataclass(frozen=True, kw_only=True)
class Topology(Located):
    """The whole of topology.yaml."""

    version: Literal[1]
    topics: Mapping[str, Topic] = field(default_factory=dict)
    contracts: Mapping[str, ContractSettings] = field(default_factory=dict)
    routers: tuple[Router, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    mappings: tuple[ConversionMapping, ...] = ()
    patterns: Annotated[tuple[Pattern, ...], UNIQUE_NAMES] = ()
    stages: Mapping[str, StageSettings] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)
    aggregates: Annotated[tuple[Aggregate, ...], UNIQUE_NAMES] = ()
    projections: Annotated[tuple[Projection, ...], UNIQUE_NAMES] = ()
    calls: Annotated[tuple[Call, ...], UNIQUE_NAMES] = ()
    sagas: Annotated[tuple[Saga, ...], UNIQUE_NAMES] = ()
    security: Security = field(default_factory=Security)
    alerts: Alerts = field(default_factory=Alerts)
