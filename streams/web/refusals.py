"""Why a request gets no answer: status, a code for programs, one line for people."""

from streams.errors import HeadraceError

RETRY_AFTER_SECONDS = 2


class Refusal(HeadraceError):
    """Becomes `{"error": {"code", "message"}}` with `status`.

    Args:
        status: 400, 401, 403, 404, 405, 409 or 503.
        code: stable word for programs.
        message: one line for people; it quotes no more of the request than what was wrong in it.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def retry_after_seconds(self) -> int | None:
        """Header Retry-After, where waiting helps."""
        return RETRY_AFTER_SECONDS if self.status == 503 else None  # noqa: PLR2004 the status is its own name


def invalid(message: str) -> Refusal:
    """The request itself is wrong."""
    return Refusal(400, "invalid_parameter", message)


def unavailable(message: str) -> Refusal:
    """Nobody can answer truly at this moment."""
    return Refusal(503, "not_available", message)


def no_such_key(table: str) -> Refusal:
    """The table has no row of that key."""
    return Refusal(404, "no_such_key", f"{table} has no row of this key")
