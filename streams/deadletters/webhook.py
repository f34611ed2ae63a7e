"""Tells a webhook of letters, beside the stage's cycle: a webhook that stalls holds up nothing.

A task looks at the committed agenda of the partitions that are here, once a second, and appends a request when the
webhook has heard. The stage carries that out in its transaction, once however often it is asked; what a dying worker
has left is found by the next.
"""

import asyncio
import time
from typing import Any

import aiohttp
import orjson
import structlog

from streams.config import Settings
from streams.deadletters.asking import append
from streams.deadletters.index import AGENDA, TELL, told_request
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


async def tell_webhook(app: StageApp, settings: Settings, url: str) -> None:
    """Tell the webhook of each letter at least once, one after the other, until the App stops.

    A call that fails puts off all, for twice as long each time: they go to one place.
    """
    recent = _Recent()
    pause_s = _LOOK_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_S)) as session:
        while not app.should_stop:
            await app.sleep(pause_s)
            waiting = await asyncio.to_thread(_waiting, app.reads())
            news = [(key, row) for key, row in waiting if recent.is_news(key, row)]
            heard = await _tell_all(app, session, url, news)
            if heard:
                try:
                    await asyncio.to_thread(append, settings, [told_request(row) for _, row in heard])
                    recent.note(heard)
                except NotReachable as error:
                    log.warning("noting what the webhook has heard", error=str(error))
            pause_s = _LOOK_S if len(heard) == len(news) else min(2 * pause_s, _LONGEST_PAUSE_S)


class _Recent:
    """What the webhook has heard a short time ago: the stage needs a moment to note it."""

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


def _waiting(reads: StageReads) -> list[tuple[bytes, Row]]:
    """The first letters that the webhook has not heard of, of the partitions that are here."""
    found: list[tuple[bytes, Row]] = []
    for partition in reads.local_partitions():
        try:
            rows = reads.scan(AGENDA, partition, prefix=TELL, limit=_AT_ONCE)
        except NotServedHere:  # it moved away meanwhile; whoever has it now looks there
            continue
        found += [(row.key, row.value) for row in rows]
    return found
