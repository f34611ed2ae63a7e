"""Passes a record on as it is: key, value, timestamp and headers untouched, placed as a router would."""

from collections.abc import Callable

from streams.errors import UnreadableHeaders
from streams.messages.message import Record
from streams.routing.admission import RawHeaders
from streams.routing.router import EVENTS_SUFFIX, RoutedBatch, placing

PassOn = Callable[[Record, RawHeaders], None]


def compile_pass(batch: RoutedBatch, source: str, destination: str) -> PassOn:
    """A function that puts records of `batch` out to `destination`."""
    by_subject = source.endswith(EVENTS_SUFFIX)
    place = placing(batch, by_subject=by_subject)

    def pass_on(record: Record, raw: RawHeaders) -> None:
        key = record.key()
        partition = place(destination, key, dict(raw)) if by_subject or key is None else -1
        batch.out.append((destination, record.value(), key, partition, max(record.timestamp()[1], 0), raw))

    return pass_on


def raw_headers(record: Record) -> RawHeaders:
    """A record's headers, as they came.

    Raises:
        UnreadableHeaders: a name is not UTF-8.
    """
    try:
        return record.headers() or []
    except (UnicodeDecodeError, SystemError) as error:  # which of them, the binding leaves to chance
        raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
