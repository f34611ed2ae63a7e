"""Sections that say how stages run: stages, failures, security, alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from streams.errors import Category
from streams.topology.located import Located
from streams.topology.shapes import FROM_KEY, Between, Count, CountOrZero, Duration, PayloadField

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS

Order = Literal["key", "none"]
AutomaticCategory = Literal[
    Category.INVALID_FORMAT,
    Category.EXPIRED,
    Category.UNROUTABLE,
    Category.BUSINESS_RULE,
    Category.TRANSIENT,
    Category.UNKNOWN,
]


@dataclass(frozen=True, kw_only=True)
class StageSettings(Located):
    """How one stage runs. `consumer` is KIP-848, which has no static membership."""

    name: Annotated[str, FROM_KEY]
    group_protocol: Literal["classic", "consumer"] = "classic"
    static_membership: bool = False


@dataclass(frozen=True, kw_only=True)
class Backoff(Located):
    """Exponential backoff; `initial` and `max` in milliseconds, `jitter` a share of the delay."""

    initial: Duration = SECOND_MS
    factor: Annotated[float, Between(1, 1000)] = 2.0
    max: Duration = MINUTE_MS
    jitter: Annotated[float, Between(0, 1)] = 0.2


@dataclass(frozen=True, kw_only=True)
class FailurePolicy(Located):
    """Retries before a record becomes a dead letter, and whether the letter holds its key."""

    retries: CountOrZero = 3
    backoff: Backoff = field(default_factory=Backoff)
    order: Order = "key"


@dataclass(frozen=True, kw_only=True)
class FailureOverrides(Located):
    """What one stage does differently from the defaults; None as the defaults."""

    name: Annotated[str, FROM_KEY]
    retries: CountOrZero | None = None
    backoff: Backoff | None = None
    order: Order | None = None


@dataclass(frozen=True, kw_only=True)
class Outage(Located):
    """So many transient failures across keys within so many milliseconds mean that the other side is down."""

    failures: Count = 5
    within: Duration = 10 * SECOND_MS


@dataclass(frozen=True, kw_only=True)
class Redrive(Located):
    """Which dead letters return by themselves, how often and how fast."""

    automatic: tuple[AutomaticCategory, ...] = (Category.TRANSIENT,)
    attempts: CountOrZero = 3
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=MINUTE_MS, factor=5.0, max=60 * MINUTE_MS))


@dataclass(frozen=True, kw_only=True)
class Notify(Located):
    """Where BUSINESS_RULE letters are announced; None for nowhere."""

    webhook: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failures(Located):
    """What happens to records that a stage cannot handle."""

    dlq_partitions: Annotated[int, Between(1, 10_000)] = 4
    defaults: FailurePolicy = field(default_factory=FailurePolicy)
    stages: Mapping[str, FailureOverrides] = field(default_factory=dict)
    outage: Outage = field(default_factory=Outage)
    redrive: Redrive = field(default_factory=Redrive)
    notify: Notify = field(default_factory=Notify)


@dataclass(frozen=True, kw_only=True)
class Security(Located):
    """Whose data key protects tagged fields, who may read them, which topics carry only signed messages."""

    subject: Mapping[str, PayloadField] = field(default_factory=dict)
    decrypt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Alerts(Located):
    """Thresholds of the alert rules; `saga_stuck` in milliseconds."""

    lag: Count = 10_000
    dead_letters_per_minute: Count = 10
    saga_stuck: Duration = 5 * MINUTE_MS
