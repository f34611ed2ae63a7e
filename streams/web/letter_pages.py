"""The pages of dead letters: groups with first letters, and one letter with its forms."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from streams.deadletters.filters import FILTERS, Grouping
from streams.deadletters.letter import Letter, LetterId
from streams.deadletters.requests import Action
from streams.web.access import Access
from streams.web.bodies import Asking, DeadLetterDetail
from streams.web.html import CONTENT_SECURITY_POLICY
from streams.web.letter_handlers import (
    ACTIONS,
    LetterHandlers,
    detail_body,
    filters_of,
    id_in,
    letter_body,
)
from streams.web.letter_html import GroupsView, render_groups, render_letter
from streams.web.letter_reader import MOST_LOOKED_AT
from streams.web.parameters import query
from streams.web.refusals import Refusal, invalid

PATH = "/deadletters"
LETTERS_SHOWN = 50
_MOST_FIELDS = 10


def is_form(request: web.Request) -> bool:
    """Whether a page's form was sent: it has the token in it, for a browser sends no bearer tokens."""
    return request.method == "POST" and request.path.startswith(PATH + "/")


@dataclass(frozen=True, slots=True)
class LetterPages:
    """One method a path.

    Args:
        letters: reads letters and passes requests on.
        access: decides on the token of a form.
    """

    letters: LetterHandlers
    access: Access

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all paths."""
        router.add_get(PATH, self.groups)
        router.add_get(PATH + "/{id}", self.letter)
        router.add_post(PATH + "/{id}", self.ask)

    async def groups(self, request: web.Request) -> web.Response:
        """Groups of the letters that are meant, and the first of these."""
        given = {name: text for name, text in query(request.rel_url.raw_query_string, FILTERS).items() if text}
        filters = filters_of(given)
        try:
            page = await self.letters.letters.page(filters, None, MOST_LOOKED_AT, request.headers.get("Authorization"))
        except Refusal as refusal:
            return _html(render_groups(GroupsView(given, (), (), refusal=str(refusal))))
        grouping = Grouping()
        grouping.add(page.letters)
        first = [letter_body(letter) for letter in page.letters[:LETTERS_SHOWN]]
        return _html(render_groups(GroupsView(given, grouping.rows(), first, whole=page.next is None)))

    async def letter(self, request: web.Request) -> web.Response:
        """One letter."""
        query(request.rel_url.raw_query_string, ())
        _, body = await self._letter(id_in(request), request.headers.get("Authorization"))
        return _html(render_letter(body))

    async def ask(self, request: web.Request) -> web.Response:
        """What a form of a letter's page asks for; refused without a token of role operator and a confirmation."""
        form = _form(await request.read())
        authorization = f"Bearer {form.get('token', '')}"
        self.access.check(request.path, authorization, request.headers.get("Host", ""), "operator")
        action = next((each for each in ACTIONS if each.value == form.get("action")), None)
        if action is None or form.get("confirm") != "yes":
            raise invalid("form: expected action=redrive or discard, and confirm=yes")
        letter, body = await self._letter(id_in(request), authorization)
        if letter.letter != form.get("letter"):
            return _html(render_letter(body, refusal="it has failed again since this page was shown; look at it anew"))
        return await self._outcome(action, letter, body, authorization)

    async def _outcome(
        self, action: Action, letter: Letter, body: DeadLetterDetail, authorization: str
    ) -> web.Response:
        asked = await self.letters.ask(action, Asking(ids=[str(letter.id)]), authorization)
        if asked.refused:
            return _html(render_letter(body, refusal=asked.refused[0].reason))
        return _html(render_letter(body, outcome=f"{action}: asked for; load the page again in a moment"))

    async def _letter(self, letter_id: LetterId, authorization: str | None) -> tuple[Letter, DeadLetterDetail]:
        letter = await self.letters.letters.get(letter_id, authorization)
        return letter, detail_body(letter, await self.letters.open(letter))


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise invalid("form: expected application/x-www-form-urlencoded") from None


def _html(text: str) -> web.Response:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(text=text, content_type="text/html", headers=headers)
