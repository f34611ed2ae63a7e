"""Names and rules of the headers (CloudEvents 1.0 Kafka binding, binary mode, and those of the design, section 3)."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Final

from streams.errors import InvalidMessage, MessageExpired

SPECVERSION: Final = "ce_specversion"
ID: Final = "ce_id"
TYPE: Final = "ce_type"
SOURCE: Final = "ce_source"
TIME: Final = "ce_time"
SUBJECT: Final = "ce_subject"
CORRELATION_ID: Final = "ce_correlationid"
CAUSATION_ID: Final = "ce_causationid"
DATA_SCHEMA: Final = "ce_dataschema"
CONTENT_TYPE: Final = "content-type"
PRIORITY: Final = "priority"
TTL: Final = "ttl"
EXPECTED_VERSION: Final = "expected-version"
AGGREGATE_VERSION: Final = "aggregate-version"
SAGA: Final = "saga"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SIGNATURE: Final = "x-message-signature"

REQUIRED: Final = (SPECVERSION, ID, TYPE, SOURCE, TIME)
# Only these must be UTF-8; whatever else a message carries passes untouched.
KNOWN: Final = frozenset(
    {
        *REQUIRED,
        SUBJECT,
        CORRELATION_ID,
        CAUSATION_ID,
        DATA_SCHEMA,
        CONTENT_TYPE,
        PRIORITY,
        TTL,
        EXPECTED_VERSION,
        AGGREGATE_VERSION,
        SAGA,
        TRACEPARENT,
        TRACESTATE,
        SIGNATURE,
    }
)
SPECVERSION_1: Final = b"1.0"
AVRO: Final = b"application/avro"

# The two highest bits of a UUID's ninth byte are 1 and 0.
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_MESSAGE_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:headrace:message")
_TIME = re.compile(
    rb"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    rb"(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_TTL = re.compile(rb"[0-9]{1,12}(\.[0-9]{1,9})?")


def text_of(name: str, value: bytes | None) -> str:
    """A header as text.

    Raises:
        InvalidMessage: it is null, empty, or not UTF-8.
    """
    if not value:
        raise InvalidMessage(f"header {name}: expected text, got {'nothing' if value is None else 'an empty one'}")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(
            f"header {name}: expected UTF-8, got byte 0x{value[error.start]:02x} at {error.start}"
        ) from None


def check_time(value: bytes | None) -> None:
    """Refuse a `ce_time` that is not RFC 3339.

    Raises:
        InvalidMessage: it has another form.
    """
    if value is None or not _TIME.fullmatch(value):
        raise InvalidMessage(
            f"header {TIME}: expected an RFC 3339 time such as 2026-01-31T12:00:00Z, got {_shown(value)}"
        )


def parse_time(value: bytes | None) -> datetime:
    """A `ce_time` as an aware datetime; a leap second is the next second, digits past microseconds are cut.

    Raises:
        InvalidMessage: it is no RFC 3339 time, or no day of the calendar.
    """
    check_time(value)
    text = (value or b"").decode().upper()
    leap = text[17:19] == "60"
    try:
        time = datetime.fromisoformat(text[:17] + "59" + text[19:] if leap else text)
        return time + timedelta(seconds=1) if leap else time
    except (ValueError, OverflowError):
        raise InvalidMessage(f"header {TIME}: {text} is no day of the calendar") from None


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, as Headrace writes it."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="auto")
    return text + "Z"


def ttl_seconds(value: bytes | None) -> float:
    """Seconds of a `ttl` header.

    Raises:
        InvalidMessage: it is no decimal number.
    """
    if value is None or not _TTL.fullmatch(value):
        raise InvalidMessage(f"header {TTL}: expected seconds as a decimal number, got {_shown(value)}")
    return float(value)


def check_ttl(time: datetime, ttl: bytes | None, now: float) -> None:
    """Refuse a message whose time to live, counted from its `ce_time`, has run out.

    Args:
        time: the message's `ce_time`.
        ttl: its header; call this only where there is one.
        now: unix time in seconds.

    Raises:
        MessageExpired: it has run out.
        InvalidMessage: `ttl` is no decimal number.
    """
    late = now - (time.timestamp() + ttl_seconds(ttl))
    if late > 0:
        # As it was written: the first hours of year 1 east of Greenwich are no time that datetime has in UTC.
        raise MessageExpired(f"the ttl of {(ttl or b'').decode()} s from {time.isoformat()} ran out {late:.3f} s ago")


def message_id(source_id: str, rule: str, index: int = 0) -> str:
    """Id of a message that Headrace makes: the same source, rule and index make the same id (UUIDv5).

    Args:
        source_id: id of the message that caused this one.
        rule: what made it, e.g. `transformer:order` or `saga:order_fulfilment:charge_payment`.
        index: which one of several.
    """
    # What uuid.uuid5 does, at a third of its cost: RFC 9562, section 5.5.
    digits = sha1(_MESSAGE_IDS.bytes + f"{source_id}\x1f{rule}\x1f{index}".encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else repr(value[:60].decode("utf-8", "backslashreplace"))
