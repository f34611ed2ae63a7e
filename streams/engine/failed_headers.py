"""Headers of a record whose handling failed, read so that the binding does not end the process."""

from collections.abc import Iterator

from confluent_kafka import Message

from streams.engine.dead_letters import Headers
from streams.errors import UnreadableHeaders

_UNREADABLE = (UnreadableHeaders, SystemError)
_LONGEST_CHAIN = 20


def readable_headers(record: Message, error: BaseException) -> Headers:
    """The record's headers; none where the handler could not read them.

    confluent-kafka raises SystemError on a name that is not UTF-8, and the second time gives a list that ends the
    process. So they are not asked for again after that error, however it was wrapped, nor after a bare
    UnicodeDecodeError, which may be it.
    """
    if is_unreadable(error):
        return []
    try:
        return list(record.headers() or ())  # type: ignore[arg-type]  # a list, never a dict, when consumed
    except (SystemError, UnicodeDecodeError):
        return []


def is_unreadable(error: BaseException) -> bool:
    """Whether an error says that the binding could not read the record's headers."""
    return isinstance(error, UnicodeDecodeError) or any(isinstance(each, _UNREADABLE) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, a bounded way back."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
