"""Puts the whole web server together on an aiohttp application, whoever runs that."""

from collections.abc import AsyncIterator, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streams.engine.stage import StageSpec
from streams.web.access import Access
from streams.web.bodies import Error, ErrorDetail
from streams.web.directory import Directory
from streams.web.front_page import FrontPage
from streams.web.handlers import Handlers
from streams.web.hop import Hop
from streams.web.letter_handlers import Desk, LetterHandlers
from streams.web.letter_pages import LetterPages, is_form
from streams.web.letter_reader import TABLE as LETTERS_TABLE
from streams.web.letter_reader import LetterReader
from streams.web.overview import Overview
from streams.web.places import Places
from streams.web.refusals import Refusal
from streams.web.stages import ServedStage, tables_of
from streams.web.table_reader import TableReader

READING = frozenset({"GET", "HEAD"})
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# What aiohttp itself refuses, in our words and without the request's.
REFUSED_BY_AIOHTTP = {
    404: ("not_found", "no such path; /api/openapi.json lists them"),
    405: ("method_not_allowed", "this path does not take this method"),
    413: ("invalid_parameter", "the request is too large"),
}


def attach(
    app: web.Application,
    stages: Sequence[ServedStage],
    known: Sequence[StageSpec],
    *,
    directory: Directory,
    access: Access,
    own_url: str,
    desk: Desk | None = None,
) -> None:
    """Serve `stages`, and what the others of `known` tell, on `app`, which has not started; `desk` opens letters."""
    hop = Hop(own_url)
    by_name = {stage.spec.name: stage for stage in stages}
    tables = tables_of(known)
    overview = Overview(by_name, known, directory, hop)
    reader = TableReader(Places(by_name, directory, own_url), directory, hop)
    Handlers(tuple(stages), tables, overview, reader).add_to(app.router)
    letters = LetterHandlers(LetterReader(tables.get(LETTERS_TABLE), reader), desk)
    letters.add_to(app.router)
    LetterPages(letters, access).add_to(app.router)
    app.router.add_get("/", FrontPage(own_url, tables, overview, reader).show)
    app.middlewares.extend((_refusals_as_json, _admitting(access)))
    app.on_response_prepare.append(_secure)

    async def session(_app: web.Application) -> AsyncIterator[None]:
        await hop.open()
        yield
        await hop.close()

    app.cleanup_ctx.append(session)


def _admitting(access: Access) -> Middleware:
    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_form(request):  # whose handler looks at the token in it
            changes = request.method not in READING and request.match_info.http_exception is None
            role = "operator" if changes else "viewer"
            access.check(request.path, request.headers.get("Authorization"), request.headers.get("Host", ""), role)
        return await handler(request)

    return admit


@web.middleware
async def _refusals_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return _error(refusal)
    except web.HTTPException as refused:
        code, message = REFUSED_BY_AIOHTTP.get(refused.status, ("refused", refused.reason))
        response = _error(Refusal(refused.status, code, message))
        if "Allow" in refused.headers:
            response.headers["Allow"] = refused.headers["Allow"]
        return response


def _error(refusal: Refusal) -> web.Response:
    body = Error(error=ErrorDetail(code=refusal.code, message=str(refusal)))
    response = web.Response(body=body.encode(), status=refusal.status, content_type="application/json")
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    if refusal.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "headrace"  # aiohttp's own tells versions
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
