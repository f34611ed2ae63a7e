"""Reads another worker's answers back into what they were made from. Pure."""

from typing import Any

import orjson

from streams.web.hop import Answer
from streams.web.paging import Keyed, Page
from streams.web.parameters import key_of
from streams.web.refusals import Refusal, unavailable

OK = 200
PASSED_ON = frozenset({400, 401, 403, 404, 409})  # refusals that hold whichever worker says them


def rows_in(answer: Answer) -> list[Keyed]:
    """The row of a key, or none.

    Raises:
        Refusal: the worker refused.
        ValueError, TypeError, KeyError: this is no worker's answer.
    """
    if answer.status != OK:
        refusal = _refusal_in(answer)
        if refusal.code == "no_such_key":
            return []
        raise refusal
    return [_keyed(orjson.loads(answer.body))]


def page_in(answer: Answer) -> Page:
    """The page of a scan; raises as `rows_in` does."""
    if answer.status != OK:
        raise _refusal_in(answer)
    body = orjson.loads(answer.body)
    return Page(tuple(map(_keyed, body["items"])), complete=body["next"] is None)


def _refusal_in(answer: Answer) -> Refusal:
    detail = orjson.loads(answer.body)["error"]
    if answer.status in PASSED_ON:
        return Refusal(answer.status, str(detail["code"]), str(detail["message"]))
    return unavailable(str(detail["message"]))


def _keyed(body: Any) -> Keyed:
    return Keyed(key_of(body["key"]), body["value"], body["position"])
