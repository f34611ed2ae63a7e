"""What the dead letter stage does at a time or towards the outside, beside its cycle: it asks by requests.

Both tasks look at the committed agenda of the partitions that are here, once a second, and append a request for what
they found or did. The stage carries it out in its transaction, once however often it is asked. So neither a clock nor
a stalled webhook can hold up the stage, and what a dying worker has left is found by the next.
"""

import asyncio
import time
from typing import Any

import aiohttp
import orjson
import structlog

from streams.config import Settings
from streams.deadletters.asking import append
from streams.deadletters.index import AGENDA, DUE, TELL, due_request, is_due
from streams.deadletters.letter import Letter
from streams.engine.app import StageApp
from streams.engine.reads import NotServedHere, StageReads
from streams.errors import NotReachable

log = structlog.get_logger(__name__)

_LOOK_S = 1.0
_AT_ONCE = 1000
_ASK_AGAIN_S = 30.0  # a request that has not been carried out by then may be lost
_CALL_S = 10.0
_LONGEST_PAUSE_S = 60.0
_SUCCESS = range(200, 300)

Row = dict[str, Any]


async def redrive_what_is_due(app: StageApp, settings: Settings) -> None:
    """Ask for the redrive of letters whose time has come, until the App stops."""
    recent = _Recent()

    def ask() -> None:
        now_ms = time.time_ns() // 1_000_000
        rows = _agenda(app.reads(), DUE)
        due = [(key, row) for key, row in rows if is_due(key, now_ms) and recent.is_news(key, row)]
        if due:
            append(settings, (due_request(key, row) for key, row in due))
            recent.note(due)

    while not app.should_stop:
        await app.sleep(_LOOK_S)
        try:
            await asyncio.to_thread(ask)
        except NotReachable as error:
            log.warning("asking for redrives", error=str(error))


async def tell_webhook(app: StageApp, settings: Settings, url: str) -> None:
    """Tell the webhook of each letter at least once, one after the other, until the App stops.

    A call that fails puts off all, for twice as long each time: they go to one place.
    """
    recent = _Recent()
    pause_s = _LOOK_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_S)) as session:
        while not app.should_stop:
            await app.sleep(pause_s)
            waiting = await asyncio.to_thread(_agenda, app.reads(), TELL)
            news = [(key, row) for key, row in waiting if recent.is_news(key, row)]
            heard = await _tell_all(app, session, url, news)
            if heard:
                try:
                    await asyncio.to_thread(append, settings, [due_request(key, row) for key, row in heard])
                    recent.note(heard)
                except NotReachable as error:
                    log.warning("noting what the webhook has heard", error=str(error))
            pause_s = _LOOK_S if len(heard) == len(news) else min(2 * pause_s, _LONGEST_PAUSE_S)


class _Recent:
    """What was asked for a short time ago: the stage needs a moment to carry it out."""

    def __init__(self) -> None:
        self._at: dict[tuple[bytes, str], float] = {}

    def is_news(self, key: bytes, row: Row) -> bool:
        return (key, row["letter"]) not in self._at

    def note(self, rows: list[tuple[bytes, Row]]) -> None:
        now = time.monotonic()
        self._at = {each: at for each, at in self._at.items() if at > now - _ASK_AGAIN_S}
        self._at.update(((key, row["letter"]), now) for key, row in rows)


async def _tell_all(
    app: StageApp, session: aiohttp.ClientSession, url: str, news: list[tuple[bytes, Row]]
) -> list[tuple[bytes, Row]]:
    """Tell in order, up to the first that fails; returns those that were heard."""
    for number, (_, row) in enumerate(news):
        if app.should_stop or not await _tell(session, url, Letter.of_row(row)):
            return news[:number]
    return news


async def _tell(session: aiohttp.ClientSession, url: str, letter: Letter) -> bool:
    """Whether the webhook has heard of the letter."""
    body = orjson.dumps({"id": str(letter.id), **letter.row()})
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{letter.id}@{letter.letter}"}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status in _SUCCESS:
                return True
            reason = f"it answered {response.status}"
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        reason = str(error) or "no answer in time"
    log.warning("the webhook has not heard of a letter; it is told again", letter=str(letter.id), reason=reason)
    return False


def _agenda(reads: StageReads, prefix: bytes) -> list[tuple[bytes, Row]]:
    """The first rows of the agenda that begin so, of the partitions that are here."""
    found: list[tuple[bytes, Row]] = []
    for partition in reads.local_partitions():
        try:
            rows = reads.scan(AGENDA, partition, prefix=prefix, limit=_AT_ONCE)
        except NotServedHere:  # it moved away meanwhile; whoever has it now looks there
            continue
        found += [(row.key, row.value) for row in rows]
    return found
