"""The names that a condition's `field` may have, and where each is found in a message."""

from dataclasses import dataclass
from typing import Literal

PAYLOAD_PREFIX = "payload."
HEADER_PREFIX = "headers."
# Attributes that are ce_ headers under the field's own words (design.md section 3).
ATTRIBUTE_HEADERS = {"message_id": "ce_id", "correlation_id": "ce_correlationid", "source": "ce_source"}
KNOWN = "message_type, message_id, correlation_id, source, timestamp, key, headers.<name> or payload.<path>"

Place = Literal["type", "time", "key", "attribute", "header", "payload"]


@dataclass(frozen=True, slots=True)
class Field:
    """Where a condition looks.

    Args:
        place: kind of place; decides how operands compare (only `header` compares as a number on demand).
        name: name of the header, or path into the payload; empty for the others.
    """

    place: Place
    name: str = ""


def parse_field(text: str) -> Field | None:
    """Place that `text` names, or None when there is no such field."""
    if text in ATTRIBUTE_HEADERS:
        return Field("attribute", ATTRIBUTE_HEADERS[text])
    if text.startswith(HEADER_PREFIX) and len(text) > len(HEADER_PREFIX):
        return Field("header", text.removeprefix(HEADER_PREFIX))
    if text.startswith(PAYLOAD_PREFIX) and len(text) > len(PAYLOAD_PREFIX):
        return Field("payload", text.removeprefix(PAYLOAD_PREFIX))
    singles: dict[str, Place] = {"message_type": "type", "timestamp": "time", "key": "key"}
    return Field(singles[text]) if text in singles else None
