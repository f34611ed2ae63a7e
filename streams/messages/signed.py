"""Signatures of consumed records: what stages that read a signed topic check before anything else."""

from collections.abc import Callable

from streams.errors import UnreadableHeaders
from streams.messages.message import Record
from streams.security.signatures import Verifier

CheckRecord = Callable[[Record], None]


def check_signatures(verifier: Verifier) -> CheckRecord:
    """A function that raises InvalidMessage for a record without a valid signature."""
    check = verifier.check

    def check_record(record: Record) -> None:
        try:
            headers = record.headers() or []
        except (UnicodeDecodeError, SystemError) as error:  # asked again, the binding ends the process
            raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
        check(record.key(), headers, record.value())

    return check_record
