"""Names of the topics and groups that Headrace derives; nobody may spell them by hand."""

SCHEMAS_TOPIC = "headrace.schemas"
SCHEMAS_TRANSACTIONAL_ID = "headrace-schemas"
SHARED_TOPICS = (
    "headrace.review",
    "headrace.notifications",
    "headrace.archive",
    "headrace.audit",
    "headrace.keys",
    "headrace.control",
    SCHEMAS_TOPIC,
    "headrace.sagas",
    "headrace.sagas.signals",
)


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


def subscription_group(topic: str, subscription: str) -> str:
    """Consumer group of a named reader of a topic."""
    return f"{topic}.{subscription}"
