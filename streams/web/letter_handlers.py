"""The paths of dead letters: lists, one letter with what is in it, and requests to redrive or discard."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiohttp import web
from pydantic import ValidationError

from streams.deadletters.filters import FILTERS, Filters, parse_filters
from streams.deadletters.letter import Letter, LetterId, Position
from streams.deadletters.opening import OpenedLetter
from streams.deadletters.requests import Action, Request
from streams.errors import HeadraceError, UsageError
from streams.web.bodies import (
    Asking,
    Body,
    DeadLetter,
    DeadLetterDetail,
    DeadLetterList,
    Header,
    Refused,
    Requested,
)
from streams.web.letter_reader import LetterReader, no_such_letter
from streams.web.parameters import DEFAULT_LIMIT, MAX_LIMIT, decode, limit_of, query
from streams.web.refusals import Refusal, invalid, unavailable

ACCEPTED = 202
PATH = "/api/deadletters"
ACTIONS = (Action.REDRIVE, Action.DISCARD)

T = TypeVar("T")


class Desk(Protocol):
    """Opens letters and passes requests on; blocks."""

    def open(self, position: Position) -> OpenedLetter | None:
        """The letter at a position."""

    def append(self, requests: Iterable[Request]) -> int:
        """Append requests for the stage."""


@dataclass(frozen=True, slots=True)
class LetterHandlers:
    """One method a path.

    Args:
        letters: the index.
        desk: the letters themselves; None where this server is not beside Kafka.
    """

    letters: LetterReader
    desk: Desk | None

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all paths."""
        router.add_get(PATH, self.list_letters)
        router.add_get(PATH + "/{id}", self.show_letter)
        for action in ACTIONS:
            router.add_post(f"{PATH}/{action}", self.requesting(action))

    async def list_letters(self, request: web.Request) -> web.Response:
        """Letters that are meant, in the order of their ids."""
        given = query(request.rel_url.raw_query_string, (*FILTERS, "limit", "after"))
        after = letter_id(given["after"], "after") if "after" in given else None
        limit = limit_of(given.get("limit", str(DEFAULT_LIMIT)))
        page = await self.letters.page(filters_of(given), after, limit, request.headers.get("Authorization"))
        return _json(DeadLetterList(items=list(map(letter_body, page.letters)), next=page.next and str(page.next)))

    async def show_letter(self, request: web.Request) -> web.Response:
        """One letter with headers, payload and stack trace."""
        query(request.rel_url.raw_query_string, ())
        found = await self.letters.get(id_in(request), request.headers.get("Authorization"))
        return _json(detail_body(found, await self.open(found)))

    def requesting(self, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Handler that asks the stage to do this with letters."""

        async def handle(request: web.Request) -> web.Response:
            query(request.rel_url.raw_query_string, ())
            asked = asking_of(await request.read())
            return _json(await self.ask(action, asked, request.headers.get("Authorization")), ACCEPTED)

        return handle

    async def open(self, letter: Letter) -> OpenedLetter | None:
        """What is in a letter; None where its dlq does not have it any more."""
        desk = self._desk()
        return await _beside_kafka(lambda: desk.open(Position.parse(letter.letter)))

    async def ask(self, action: Action, asked: Asking, authorization: str | None) -> Requested:
        """Ask for all letters that are named, or for the first ones that are meant."""
        desk = self._desk()
        found, refused, following = await self._named(asked, authorization)
        requests = []
        for letter in found:
            if letter.is_open:
                requests.append(Request(action, letter.id, Position.parse(letter.letter)))
            else:
                refused.append(Refused(id=str(letter.id), reason=f"it is {letter.state}"))
        if requests:
            await _beside_kafka(lambda: desk.append(requests))
        ids = [str(each.letter) for each in requests]
        return Requested(requested=ids, refused=refused, next=following and str(following))

    async def _named(
        self, asked: Asking, authorization: str | None
    ) -> tuple[list[Letter], list[Refused], LetterId | None]:
        if asked.ids is not None:
            found, refused = [], []
            for text in dict.fromkeys(asked.ids):
                try:
                    found.append(await self.letters.get(letter_id(text, "ids"), authorization))
                except Refusal as refusal:
                    if refusal.code != no_such_letter().code:
                        raise
                    refused.append(Refused(id=text, reason="there is no such letter"))
            return sorted(found, key=lambda letter: letter.id), refused, None
        filters = filters_of({"state": "open", **(asked.filters or {})})
        after = letter_id(asked.after, "after") if asked.after else None
        page = await self.letters.page(filters, after, MAX_LIMIT, authorization)
        return list(page.letters), [], page.next

    def _desk(self) -> Desk:
        if self.desk is None:
            raise unavailable("this worker opens no letters")
        return self.desk


def filters_of(given: dict[str, str]) -> Filters:
    """Filters of a request."""
    try:
        return parse_filters(given)
    except UsageError as error:
        raise invalid(str(error)) from None


def letter_id(text: str, what: str) -> LetterId:
    """Id of a letter that a request names."""
    try:
        return LetterId.parse(text)
    except ValueError as error:
        raise invalid(f"{what}: {error}") from None


def id_in(request: web.Request) -> LetterId:
    """Id at the end of a path; what cannot be one names no letter."""
    text = decode(request.rel_url.raw_path.rpartition("/")[2], "id")
    try:
        return LetterId.parse(text)
    except ValueError:
        raise no_such_letter() from None


def asking_of(body: bytes) -> Asking:
    """What the body of a request asks for."""
    try:
        asked = Asking.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "body"
        raise invalid(f'{where}: {problem["msg"]}; expected {{"ids": [...]}} or {{"filters": {{...}}}}') from None
    if (asked.ids is None) == (asked.filters is None):
        raise invalid('body: expected either "ids" or "filters"')
    if unknown := sorted((asked.filters or {}).keys() - set(FILTERS)):
        raise invalid(f"filters: expected {', '.join(FILTERS)}, got {', '.join(unknown):.60}")
    return asked


def letter_body(letter: Letter) -> DeadLetter:
    """Body of a letter as the index has it."""
    return DeadLetter(id=str(letter.id), **letter.row())


def detail_body(letter: Letter, found: OpenedLetter | None) -> DeadLetterDetail:
    """Body of a letter with what is in it."""
    index = {"id": str(letter.id), **letter.row()}
    if found is None:
        gone = f"{letter.letter} is not there any more"
        return DeadLetterDetail(
            **index, headers=[], value=None, payload=None, contract=None, refusal=gone, stacktrace="", timestamp=None
        )
    return DeadLetterDetail(
        **index,
        headers=[Header(name=name, value=text) for name, text in found.headers],
        value=None if found.value is None else base64.b64encode(found.value).decode(),
        payload=found.payload,
        contract=found.contract,
        refusal=found.refusal,
        stacktrace=found.stacktrace,
        timestamp=found.timestamp,
    )


async def _beside_kafka(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except HeadraceError as error:
        raise unavailable(str(error)) from error


def _json(body: Body, status: int = 200) -> web.Response:
    return web.Response(body=body.encode(), status=status, content_type="application/json")
