"""Whether a router may handle a record at all: its ce_ headers, its framing and its ttl (design, section 5).

The router's hot path accepts what is sound at first sight; the rest comes here, to be accepted after all (a ttl that
still runs, binary headers of other systems, no ce_ headers at all) or refused with what was expected and what came.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.contracts import Contract
from streams.messages.framing import SchemaName, framed, schema_name_of, told
from streams.messages.message import Record
from streams.messages.registry import Registered, by_name

RawHeaders = list[tuple[str, bytes | None]]
Headers = dict[str, bytes | None]

# Times that were found to be sound: many messages carry the same millisecond, more the same second.
_REMEMBERED_TIMES: Final = 4096
_SECOND_CHARACTERS: Final = len("2026-01-31T12:00:00")
_REST_OF_UTC_TIME = re.compile(rb"(\.[0-9]{1,9})?Z")
_SHOWN_CHARACTERS: Final = 60


class Admission:
    """Check of the messages of one topic.

    Args:
        topic: its name, for errors.
        contracts: the topic's.
        registered: every version in the registry, to say what an id of another contract is.
        learn: asked about an id or GUID that is not among them; may find a version that was registered since.

    Attributes:
        times: values of ce_time known to be sound; bounded, so a value that is not in it may be sound too.
    """

    def __init__(
        self,
        topic: str,
        contracts: Sequence[Contract],
        registered: Iterable[Registered],
        learn: Callable[[SchemaName], Registered | None],
    ) -> None:
        self.times: set[bytes] = set()
        self._seconds: set[bytes] = set()
        self._topic = topic
        self._accepted = {contract.subject for contract in contracts}
        self._registered = by_name(registered)
        self._learn = learn
        self._expected = " or ".join(sorted(contract.name for contract in contracts))

    def is_time(self, text: bytes | None) -> bool:
        """Whether a ce_time is RFC 3339 and on the calendar; remembered in `times`."""
        if text is None:
            return False
        second = text[:_SECOND_CHARACTERS]
        if second not in self._seconds or not _REST_OF_UTC_TIME.fullmatch(text, _SECOND_CHARACTERS):
            try:
                names.parse_time(text)
            except InvalidMessage:
                return False
            if len(self._seconds) >= _REMEMBERED_TIMES:
                self._seconds.clear()
            self._seconds.add(second)
        if len(self.times) >= _REMEMBERED_TIMES:
            self.times.clear()
        self.times.add(text)
        return True

    def examine(self, record: Record, now: float) -> tuple[RawHeaders, Headers, bytes]:
        """A record that may be handled: headers as they came, by name with the attributes filled in, framed value.

        Args:
            record: as consumed.
            now: unix time in seconds.

        Raises:
            InvalidMessage: it has no sound framing or headers.
            MessageExpired: its ttl has run out.
        """
        raw = _raw_headers(record)
        headers = dict(raw)
        value = record.value()
        version = self._version_of(value, headers)
        _check_text(raw)
        if _has_attributes(headers):
            _check_required(headers)
            self._check_type(headers, version.name)
        elif len(self._accepted) == 1:
            headers = {**headers, **_attributes(record, version.name)}
        else:
            raise InvalidMessage(
                f"expected ce_ headers, got none; {self._topic} has more than one contract, so its messages need them"
            )
        ttl = headers.get(names.TTL)
        if ttl is not None:
            names.check_ttl(names.parse_time(headers[names.TIME]), ttl, now)
        return raw, headers, framed(value or b"", headers, version.id)

    def attributes(self, record: Record) -> Headers:
        """Headers by name of a record that may be handled, with the attributes of one without ce_ headers."""
        headers = dict(record.headers() or ())
        if _has_attributes(headers):
            return headers
        return {**headers, **_attributes(record, self._registered[schema_name_of(record.value(), headers)].name)}

    def _version_of(self, value: bytes | None, headers: Headers) -> Registered:
        name = schema_name_of(value, headers)
        found = self._registered.get(name) or self._learned(name)
        if found is None:
            raise InvalidMessage(f"expected a schema of {self._expected}, got {told(name)}, which is not registered")
        if found.subject not in self._accepted:
            raise InvalidMessage(f"expected {self._expected} on {self._topic}, got {found.name} ({told(name)})")
        return found

    def _learned(self, name: SchemaName) -> Registered | None:
        found = self._learn(name)
        if found is not None:
            self._registered |= {**by_name([found]), name: found}
        return found

    def _check_type(self, headers: Headers, message_type: str) -> None:
        ce_type = headers[names.TYPE]
        if ce_type != message_type.encode():
            raise InvalidMessage(
                f"header {names.TYPE}: expected {message_type}, which the value's schema says, got {_shown(ce_type)}"
            )


def _has_attributes(headers: Headers) -> bool:
    return any(name.startswith("ce_") for name in headers)


def _raw_headers(record: Record) -> RawHeaders:
    try:
        return list(record.headers() or ())
    except UnicodeDecodeError:
        raise InvalidMessage("expected header names in UTF-8, got one that is not") from None


def _check_text(raw: RawHeaders) -> None:
    """Refuse headers of the message contract that are not UTF-8; repeated ones must all be."""
    for name, value in raw:
        if value and name in names.KNOWN:
            names.text_of(name, value)


def _check_required(headers: Headers) -> None:
    for name in names.REQUIRED:
        if name not in headers:
            raise InvalidMessage(f"header {name} is missing; a message needs {', '.join(names.REQUIRED)}")
        names.text_of(name, headers[name])
    specversion = headers[names.SPECVERSION]
    if specversion != names.SPECVERSION_1:
        raise InvalidMessage(f"header {names.SPECVERSION}: expected 1.0, got {_shown(specversion)}")
    names.parse_time(headers[names.TIME])


def _attributes(record: Record, message_type: str) -> Headers:
    """Attributes of a message without ce_ headers (design, section 3)."""
    topic = str(record.topic())
    time = datetime.fromtimestamp(max(record.timestamp()[1], 0) / 1000, UTC)
    return {
        names.ID: f"{topic}-{record.partition()}-{record.offset()}".encode(),
        names.TYPE: message_type.encode(),
        names.SOURCE: topic.encode(),
        names.TIME: names.format_time(time).encode(),
    }


def _shown(value: bytes | None) -> str:
    return repr((value or b"")[:_SHOWN_CHARACTERS].decode("utf-8", "backslashreplace"))
