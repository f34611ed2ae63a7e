"""Every error that Headrace raises on purpose: what was expected, what came, what to do.

Two families: errors of one record, which the engine turns into a dead letter of `category`, and errors of a
command or worker, which end it with `exit_code` and one line on stderr. Knows nothing else of the project.
"""

from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """Why a record became a dead letter (header `headrace-category`)."""

    INVALID_FORMAT = "INVALID_FORMAT"
    EXPIRED = "EXPIRED"
    UNROUTABLE = "UNROUTABLE"
    BUSINESS_RULE = "BUSINESS_RULE"
    TRANSIENT = "TRANSIENT"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"


class HeadraceError(Exception):
    """Ends a command with one line on stderr and `exit_code`."""

    exit_code: ClassVar[int] = 1


class UsageError(HeadraceError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class NotReachable(HeadraceError):
    """A broker, registry or worker did not answer."""

    exit_code = 3


class FindingsFound(HeadraceError):
    """A check found something; the findings are the message, one a line."""


class ConfigurationRefused(HeadraceError):
    """A worker cannot start, or cannot go on, with what it was given."""


class StartRefused(ConfigurationRefused):
    """A worker cannot start with what it was given, and waiting does not change that."""


class RecordError(Exception):
    """An error of one record: it becomes a dead letter of `category`, and nothing else stops.

    Args:
        message: what was expected and what came, in one line.
        route: name of the route that was being served, if any.
    """

    category: Category = Category.UNKNOWN

    def __init__(self, message: str, *, route: str | None = None) -> None:
        super().__init__(message)
        self.route = route


class InvalidMessage(RecordError):
    """Undecodable, of an unknown contract, failed validation, or too large for its destination."""

    category = Category.INVALID_FORMAT


class MessageRefused(InvalidMessage):
    """The broker refused what a record put out (too large, unknown topic, not authorised)."""


class UnreadableHeaders(InvalidMessage):
    """A header's name is not UTF-8, so the binding cannot give any; asking it again ends the process."""


class UnsupportedTransformation(InvalidMessage, HeadraceError):
    """No converters lead from one format to the other: refused at the start, and of a message that comes anyway."""


class TransformationFailed(RecordError):
    """A converter could not make the target of a message.

    Args:
        hop: the conversion, as `from -> to`.
        field: where in the payload, as a path; empty where the whole is meant.
        reason: what was expected and what came.
        category: INVALID_FORMAT where the message is to blame, TRANSIENT where a converter took too long, else
            UNKNOWN: a converter that raises, or makes what its contract refuses, is a bug.
    """

    def __init__(self, hop: str, field: str, reason: str, category: Category = Category.UNKNOWN) -> None:
        super().__init__(f"{hop}: {f'{field}: ' if field else ''}{reason}")
        self.hop = hop
        self.field = field
        self.category = category


class MessageExpired(RecordError):
    """The record's ttl had run out before it was handled."""

    category = Category.EXPIRED


class NoRouteMatches(RecordError):
    """No route of the router matches the message."""

    category = Category.UNROUTABLE


class BusinessRuleViolation(RecordError):
    """The domain refuses the message; trying again changes nothing."""

    category = Category.BUSINESS_RULE


class KeyHeld(RecordError):
    """An earlier record of this key is a dead letter, and order matters: this one waits as a letter too."""

    category = Category.HELD


class TransientError(RecordError):
    """A dependency did not answer; trying again may succeed."""

    category = Category.TRANSIENT


def category_of(error: BaseException) -> Category:
    """Category of the dead letter that `error` makes (design: anything unforeseen is UNKNOWN)."""
    return error.category if isinstance(error, RecordError) else Category.UNKNOWN
