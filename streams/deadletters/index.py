"""The index and the agenda: what a letter that comes, and a request about one, changes in the stage's tables. Pure.

Tables, rows in the partition of the letter:
    letters   <id>, its numbers padded         the letter, without its payload
    wakeups   the engine's timers              letters that return by themselves, by the keys of their rows
    agenda    tell:<id>                        a letter of which the webhook has not heard yet
              holder:<stage>:<digest>          the letter that holds a key, and when it returns: those behind it follow
"""

import hashlib
from dataclasses import replace
from typing import Any, Protocol

from streams.deadletters.letter import Letter, LetterId, Position, Record, State, letter_of, rfc3339
from streams.deadletters.policy import NOTIFICATIONS, LetterPolicy
from streams.deadletters.requests import Action, Request
from streams.engine.dead_letters import ERROR, Headers
from streams.engine.retrying import HOLDING
from streams.engine.returning import ACTION
from streams.engine.stage import WAKEUPS
from streams.engine.wakeups import cancel_wakeup, set_wakeup
from streams.errors import Category
from streams.topology import names

LETTERS, AGENDA = "letters", "agenda"
TELL, HOLDER = b"tell:", b"holder:"
_LONG_HEADERS = frozenset({ERROR + "stacktrace", ERROR + "message"})


class Rows(Protocol):
    """A table's partition, as one record sees it."""

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of `key`."""

    def set(self, key: bytes, value: Any) -> None:
        """Write a JSON-able value."""

    def delete(self, key: bytes) -> None:
        """Remove a row."""


class Scope(Protocol):
    """What one record may write and send: a batch, or a record's own scope in it."""

    def state(self, table: str) -> Rows:
        """Rows of a table of the stage."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        timestamp_ms: int = 0,
        headers: Headers | None = None,
    ) -> None:
        """Put out a record."""


def take_up(scope: Scope, record: Record, policy: LetterPolicy, now_ms: int, chance: float) -> Letter:
    """A letter has come: index it, copy it to where it is shown, and note when it returns by itself."""
    letters, agenda, timers = scope.state(LETTERS), scope.state(AGENDA), scope.state(WAKEUPS)
    letter = letter_of(record)
    row_key = letter.id.row_key()
    before = letters.get(row_key)
    if before is not None:
        letter = _again(letter, Letter.of_row(before))
        cancel_wakeup(timers, row_key)
    fate = policy.fate(letter.category, letter.stage, letter.redrives)
    due_ms = _due_ms(agenda, letter, record.key(), policy, now_ms, chance)
    letter = replace(letter, state=fate.state, next_redrive_at=rfc3339(due_ms) if due_ms else None)
    letters.set(row_key, letter.row())
    if due_ms:
        set_wakeup(timers, row_key, due_ms, {"id": str(letter.id), "letter": letter.letter})
    if fate.copy_to is not None:
        timestamp_ms = max(record.timestamp()[1], 0)
        headers: Headers = list(record.headers() or ())
        scope.send(fate.copy_to, record.value(), record.key(), timestamp_ms=timestamp_ms, headers=headers)
    if fate.copy_to == NOTIFICATIONS and policy.webhook is not None:
        agenda.set(TELL + row_key, letter.row())
    return letter


def _again(letter: Letter, before: Letter) -> Letter:
    """A letter that was there already, with what it is now."""
    first = min(before.first_failed_at, letter.first_failed_at)
    return replace(letter, redrives=before.redrives, first_failed_at=first)


def _due_ms(agenda: Rows, letter: Letter, key: bytes | None, policy: LetterPolicy, now_ms: int, chance: float) -> int:
    """When a letter returns by itself, 0: not. One that is held returns with the letter that holds its key."""
    if letter.category == Category.HELD:
        holder = agenda.get(_holder_key(letter, key), {})
        return int(holder.get("due_ms", 0))
    returns = policy.fate(letter.category, letter.stage, letter.redrives).returns and not letter.omitted
    due_ms = policy.due_ms(now_ms, letter.redrives, chance) if returns else 0
    if key is not None and letter.category in HOLDING:
        agenda.set(_holder_key(letter, key), {"id": str(letter.id), "due_ms": due_ms})
    return due_ms


def is_asked_of(scope: Scope, request: Request) -> Letter | None:
    """The letter that a request is about; None where it has moved on, so that nothing is to be done."""
    row = scope.state(LETTERS).get(request.letter.row_key())
    letter = None if row is None else Letter.of_row(row)
    if letter is None or letter.letter != str(request.position) or not letter.is_open:
        return None
    return letter


def told(scope: Scope, request: Request) -> None:
    """The webhook has heard of a letter."""
    agenda, key = scope.state(AGENDA), TELL + request.letter.row_key()
    row = agenda.get(key)
    if row is not None and row["letter"] == str(request.position):
        agenda.delete(key)


def carry_out(scope: Scope, request: Request, letter: Letter, record: Record | None, policy: LetterPolicy) -> None:
    """Send a letter back to its stage, or tell that stage that it is given up; and note it.

    Args:
        scope: the request's.
        request: what is asked for.
        letter: of `is_asked_of`.
        record: the letter itself; None where its dlq does not have it any more.
        policy: says which stages take letters back.
    """
    redrive = request.action is Action.REDRIVE
    refusal = _refusal(letter, record, policy, redrive=redrive)
    cancel_wakeup(scope.state(WAKEUPS), letter.id.row_key())
    letter = replace(letter, next_redrive_at=None, note=refusal)
    if not refusal:
        if record is not None and letter.stage in policy.returning:
            _send_back(scope, request.action, letter, record)
        state = State.REDRIVEN if redrive else State.DISCARDED
        letter = replace(letter, state=state, redrives=letter.redrives + redrive)
    scope.state(LETTERS).set(letter.id.row_key(), letter.row())


def _refusal(letter: Letter, record: Record | None, policy: LetterPolicy, *, redrive: bool) -> str:
    """Why a request cannot be carried out; empty where it can."""
    returns = letter.stage in policy.returning
    if redrive and not returns:
        return f"stage {letter.stage} takes no letters back; send the record again"
    if returns and record is None:
        return f"{letter.letter} is not there any more; send the record again"
    if redrive and letter.omitted:
        return "the letter has no value, since it was too large for its dlq; send the record again"
    return ""


def _send_back(scope: Scope, action: Action, letter: Letter, record: Record) -> None:
    """To the partition that the record came from; a discarded one needs no value."""
    headers: Headers = [header for header in record.headers() or () if header[0] not in _LONG_HEADERS]
    scope.send(
        names.redrive_topic(letter.stage),
        record.value() if action is Action.REDRIVE else None,
        record.key(),
        partition=letter.partition,
        timestamp_ms=max(record.timestamp()[1], 0),
        headers=[*headers, (ACTION, action.value.encode())],
    )


def due_request(payload: dict[str, str]) -> Request:
    """Request of a timer that fires."""
    return Request(Action.REDRIVE, LetterId.parse(payload["id"]), Position.parse(payload["letter"]))


def told_request(row: dict[str, Any]) -> Request:
    """Request for a row `tell:` of the agenda, when the webhook has heard of it."""
    letter = Letter.of_row(row)
    return Request(Action.TOLD, letter.id, Position.parse(letter.letter))


def _holder_key(letter: Letter, key: bytes | None) -> bytes:
    """A key has one queue in a partition, whichever source its records came from. Keys may be long, digests are not."""
    digest = hashlib.sha256(b"%d=%b" % (letter.partition, key or b"")).hexdigest()
    return HOLDER + f"{letter.stage}:{digest}".encode()
