"""Names of the topics and groups that Headrace derives, which nobody may spell by hand; Kafka's rules for names."""

import re
from collections.abc import Iterable

RESERVED_PREFIX = "headrace."
SCHEMAS_TOPIC = "headrace.schemas"
SCHEMAS_TRANSACTIONAL_ID = "headrace-schemas"
KEYS_TOPIC = "headrace.keys"
KEYS_TRANSACTIONAL_ID = "headrace-keys"
SHARED_TOPICS = (
    "headrace.review",
    "headrace.notifications",
    "headrace.archive",
    "headrace.audit",
    KEYS_TOPIC,
    "headrace.control",
    SCHEMAS_TOPIC,
    "headrace.sagas",
    "headrace.sagas.signals",
)
_AGGREGATE_TOPICS = ("commands", "events", "replies")

# org.apache.kafka.common.internals.Topic: LEGAL_CHARS and MAX_NAME_LENGTH.
LONGEST_TOPIC = 249
_LEGAL_TOPIC = re.compile(rf"[a-zA-Z0-9._-]{{1,{LONGEST_TOPIC}}}")
_DERIVED = re.compile(r"headrace\..+\.(changelog|dlq|redrive|repartition)")


def stage_group(stage: str) -> str:
    """Consumer group of a stage."""
    return f"headrace.{stage}"


def changelog_topic(stage: str, table: str) -> str:
    """Compacted topic that holds a table's rows."""
    return f"headrace.{stage}.{table}.changelog"


def dead_letter_topic(stage: str) -> str:
    """Topic of the records that a stage could not handle."""
    return f"headrace.{stage}.dlq"


def redrive_topic(stage: str) -> str:
    """Topic through which dead letters return to their stage."""
    return f"headrace.{stage}.redrive"


def aggregate_topics(aggregates: Iterable[str]) -> frozenset[str]:
    """Topics of the aggregates of these names: `<name>.commands`, `<name>.events`, `<name>.replies`."""
    return frozenset(f"{aggregate}.{part}" for aggregate in aggregates for part in _AGGREGATE_TOPICS)


def subscription_group(topic: str, subscription: str) -> str:
    """Consumer group of a named reader of a topic."""
    return f"{topic}.{subscription}"


def is_legal_topic(name: str) -> bool:
    """Whether Kafka would create a topic of this name."""
    return _LEGAL_TOPIC.fullmatch(name) is not None and name not in {".", ".."}


def is_changelog_of(group: str, topic: str) -> bool:
    """Whether `topic` is the changelog of a table of the stage whose group this is (tables have no dots)."""
    table = topic.removeprefix(f"{group}.").removesuffix(".changelog")
    return "." not in table and topic == f"{group}.{table}.changelog"


def is_derived(name: str) -> bool:
    """Whether a topic of this name belongs to a stage (which may be gone)."""
    return _DERIVED.fullmatch(name) is not None
