"""What a dead letter looks like: the original record plus headers that say why (design, section 7). Pure."""

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from streams.errors import category_of

Headers = list[tuple[str, str | bytes | None]]  # the binding takes str too; consumed values are bytes

Header = TypeVar("Header", tuple[str, str | bytes | None], tuple[str, bytes | None])

_STACKTRACE_BYTES = 4096
_MESSAGE_BYTES = 1024
ERROR = "__streams.errors."
_OWN = frozenset(
    {ERROR + name for name in ("exception", "message", "stacktrace", "topic", "partition", "offset")}
    | {f"headrace-{name}" for name in ("category", "stage", "route", "attempts", "first-failed-at", "last-failed-at")}
    | {"headrace-omitted", "headrace-action"}
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One record that failed: where it came from, why, and when (unix seconds)."""

    stage: str
    topic: str
    partition: int
    offset: int
    error: BaseException
    route: str | None
    failed_at: float
    first_failed_at: float = 0.0
    attempts: int = 1

    @property
    def category(self) -> str:
        """Header `headrace-category`."""
        return category_of(self.error).value


def dead_letter_headers(original: Sequence[tuple[str, str | bytes | None]] | None, failure: Failure) -> Headers:
    """Headers of the dead letter: the original's, with those of an earlier failure replaced.

    The names are Kafka Streams' (`__streams.errors.*`) and ours; all are UTF-8, numbers decimal, times RFC 3339.
    """
    error = failure.error
    trace = "".join(traceback.format_exception(error))
    headers: Headers = original_headers(original or ())
    headers += [
        (ERROR + "exception", type(error).__name__.encode()),
        (ERROR + "message", _cut(_text(error), _MESSAGE_BYTES)),
        (ERROR + "stacktrace", _cut(trace, _STACKTRACE_BYTES)),
        (ERROR + "topic", failure.topic.encode()),
        (ERROR + "partition", b"%d" % failure.partition),
        (ERROR + "offset", b"%d" % failure.offset),
        ("headrace-category", failure.category.encode()),
        ("headrace-stage", failure.stage.encode()),
        ("headrace-attempts", b"%d" % failure.attempts),
        ("headrace-first-failed-at", _time(failure.first_failed_at or failure.failed_at)),
        ("headrace-last-failed-at", _time(failure.failed_at)),
    ]
    if failure.route is not None:
        headers.append(("headrace-route", failure.route.encode()))
    return headers


def original_headers(headers: Iterable[Header]) -> list[Header]:
    """A record's own headers, without what its failures have added."""
    return [header for header in headers if header[0] not in _OWN]


def _time(unix_s: float) -> bytes:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def _text(error: BaseException) -> str:
    """The error's own words; one that cannot say them must not stop the batch that buries it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 a handler's error class may do anything
        return f"<unprintable {type(error).__name__}>"


def stripped_headers(failure: Failure, value_bytes: int) -> Headers:
    """Headers of a letter without its record's value and headers, because its dlq has refused it whole as too large.

    The record stays where it came from for as long as that topic keeps it: topic, partition and offset say where.
    """
    omitted = f"value of {value_bytes} bytes and all headers; the record is at the offset given here"
    return [*dead_letter_headers(None, failure), ("headrace-omitted", omitted.encode())]


def _cut(text: str, limit: int) -> bytes:
    """At most `limit` bytes of UTF-8, never half a character."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").encode()
