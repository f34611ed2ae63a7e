"""Whether a message may be converted, and what its attributes are: of Avro messages as a router asks, and of others.

Messages of another format than Avro have no framing and may lack all ce_ headers; then they are
`topic-partition-offset`, of the record's time.
"""

from typing import Protocol

from streams.errors import InvalidMessage, UnreadableHeaders
from streams.messages import headers as names
from streams.messages.framing import SCHEMA_HEADER
from streams.messages.message import Record, read_message
from streams.routing.admission import Admission, Headers, RawHeaders

# Headers as they came, headers by name with the attributes filled in, and the value, framed where it is Avro.
Admitted = tuple[RawHeaders, Headers, bytes]


class Intake(Protocol):
    """Check of the messages of one topic."""

    def admit(self, record: Record, ce_type: bytes | None, now: float) -> Admitted:
        """A message that may be converted.

        Args:
            record: as consumed.
            ce_type: what the schema id of its value stands for, or its format; None where that is unknown.
            now: unix time in seconds.

        Raises:
            InvalidMessage: it has no sound framing or headers.
            MessageExpired: its ttl has run out.
        """


class AvroIntake:
    """Admits what a router would (routing/admission.py), the sound at first sight without a second one."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def admit(self, record: Record, ce_type: bytes | None, now: float) -> Admitted:
        """As Intake says."""
        raw = _raw_headers(record)
        headers = dict(raw)
        if self._sound(raw, headers, ce_type):
            return raw, headers, record.value() or b""
        return self._admission.examine(record, now)

    def _sound(self, raw: RawHeaders, headers: Headers, ce_type: bytes | None) -> bool:
        times, is_time = self._admission.times, self._admission.is_time
        try:
            return bool(
                headers["ce_type"] == ce_type
                and headers["ce_specversion"] == b"1.0"
                and (headers["ce_time"] in times or is_time(headers["ce_time"]))
                and headers["ce_id"]
                and headers["ce_source"]
                and "ttl" not in headers
                and SCHEMA_HEADER not in headers
                and len(headers) == len(raw)
                and b"".join(headers.values()).isascii()  # type: ignore[arg-type]  # a None is a TypeError
            )
        except (KeyError, TypeError):
            return False


class ForeignIntake:
    """Admits messages of a format that is not Avro; what their value is, its reader finds out."""

    def __init__(self, name: str) -> None:
        self._name = name

    def admit(self, record: Record, ce_type: bytes | None, now: float) -> Admitted:
        """As Intake says."""
        del ce_type
        raw = _raw_headers(record)
        message = read_message(record, only_contract=self._name)
        if message.type != self._name:
            raise InvalidMessage(
                f"header {names.TYPE}: expected {self._name}, the topic's format, got {message.type!r}"
            )
        attributes: Headers = {
            names.ID: message.id.encode(),
            names.TYPE: message.type.encode(),
            names.SOURCE: message.source.encode(),
            names.TIME: names.format_time(message.time).encode(),
        }
        headers = {**attributes, **dict(raw)}
        ttl = headers.get(names.TTL)
        if ttl is not None:
            names.check_ttl(message.time, ttl, now)
        value = record.value()
        if not value:
            raise InvalidMessage(f"expected {self._name}, got an empty value")
        return raw, headers, value


def _raw_headers(record: Record) -> RawHeaders:
    try:
        return record.headers() or []
    except (UnicodeDecodeError, SystemError) as error:  # which of them, the binding leaves to chance
        raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
