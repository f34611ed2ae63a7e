"""Sections of the event-sourced domain: aggregates, projections, sagas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from streams.topology.conditions import Condition, Scalar
from streams.topology.located import Located
from streams.topology.shapes import (
    NON_EMPTY,
    UNIQUE_NAMES,
    Between,
    Count,
    CountOrZero,
    Duration,
    MessageField,
    Name,
    PayloadField,
    PythonClass,
)


@dataclass(frozen=True, kw_only=True)
class Aggregate(Located):
    """An aggregate: stage of its name, topics `<name>.commands`, `.events` and `.replies`."""

    name: Name
    class_: PythonClass
    id: PayloadField
    snapshot_every: Count = 50
    partitions: Annotated[int, Between(1, 10_000)]


@dataclass(frozen=True, kw_only=True)
class Projection(Located):
    """A view of events, rebuilt at will; with `key` it is partitioned anew."""

    name: Name
    class_: PythonClass
    sources: Annotated[tuple[str, ...], NON_EMPTY]
    key: PayloadField | None = None
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SagaCommand(Located):
    """A command that a saga sends; `payload` has a literal or an expression for each field."""

    type: str
    key: MessageField
    payload: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SagaEnd(Located):
    """The command that ends a saga, sent to the stage that started it, and the event that shows it did."""

    command: SagaCommand
    event: str


@dataclass(frozen=True, kw_only=True)
class Compensation(Located):
    """The command that undoes a step, and the event that shows it did."""

    command: SagaCommand
    done: str


@dataclass(frozen=True, kw_only=True)
class Step(Located):
    """One step of a saga; `deadline` in milliseconds, `parallel` names steps that run beside it."""

    name: Name
    participant: Name
    on: str
    command: SagaCommand
    succeeds_with: str
    fails_with: tuple[str, ...] = ()
    compensation: Compensation | None = None
    idempotency_key: PayloadField
    deadline: Duration | None = None
    retries: CountOrZero = 3
    parallel: tuple[str, ...] = ()
    when: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Saga(Located):
    """A saga by choreography, from the event that starts it to the events that end it."""

    name: Name
    starts_with: str
    completes_with: SagaEnd
    fails_with: SagaEnd
    steps: Annotated[tuple[Step, ...], NON_EMPTY, UNIQUE_NAMES]
