"""The pages of dead letters, as HTML without scripts. Pure. Whatever comes from outside is escaped here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

from streams.deadletters.filters import FILTERS
from streams.deadletters.requests import Action
from streams.web.bodies import DeadLetter, DeadLetterDetail
from streams.web.html import NOTHING, code, frame, grid

HOME = '<a href="/">stages and tables</a> · <a href="/deadletters">dead letters</a>'
_GROUP_COLUMNS = ("stage", "category", "exception", "route", "state", "letters", "last failed at")
_LETTER_COLUMNS = ("id", "category", "message", "key", "attempts", "redrives", "last failed at", "state")
_INDEX = (
    "state", "category", "exception", "message", "stage", "route", "key", "topic", "partition", "offset", "attempts",
    "redrives", "first_failed_at", "last_failed_at", "next_redrive_at", "letter", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupsView:
    """What the page of groups shows.

    Args:
        given: filters that it was asked for.
        groups: rows of `Grouping`.
        letters: the first ones that are meant.
        whole: whether the groups count all letters, not only the first of them.
        refusal: why there is nothing; else empty.
    """

    given: Mapping[str, str]
    groups: Sequence[Mapping[str, str | int | None]]
    letters: Sequence[DeadLetter]
    whole: bool = True
    refusal: str = ""


def render_groups(view: GroupsView) -> str:
    """The page of groups and first letters."""
    if view.refusal:
        content = f'<p class="refusal" role="status">{escape(view.refusal)}</p>'
    elif not view.letters:
        content = "<p>No dead letters.</p>"
    else:
        more = "" if view.whole else '<p class="quiet">Only the first letters are counted: narrow the filters.</p>'
        rows = grid(_GROUP_COLUMNS, map(_group, view.groups))
        letters = grid(_LETTER_COLUMNS, map(_letter, view.letters))
        content = (
            f"<h2>Groups</h2><section>{rows}{more}</section><h2>First letters</h2><section>{letters}"
            f'<p class="quiet"><a href="{escape(_api(view.given))}">as JSON</a></p></section>'
        )
    return frame("Dead letters", HOME, _filters(view.given) + content)


def _api(given: Mapping[str, str]) -> str:
    return "/api/deadletters" + (f"?{urlencode(given)}" if given else "")


def _filters(given: Mapping[str, str]) -> str:
    fields = "".join(
        f'<label>{name} <input name="{name}" value="{escape(given.get(name, ""))}" maxlength="2048"></label>'
        for name in FILTERS
    )
    return f'<h2>Filters</h2><form action="/deadletters" method="get">{fields}<button>Show</button></form>'


def _group(row: Mapping[str, str | int | None]) -> tuple[str, ...]:
    narrowed = {name: str(row[name]) for name in ("stage", "category", "exception", "route", "state") if row[name]}
    link = f'<a href="/deadletters?{escape(urlencode(narrowed))}">{row["letters"]:,}</a>'
    texts = [code(str(row[name])) if row[name] else NOTHING for name in ("stage", "category", "exception", "route")]
    return (*texts, escape(str(row["state"])), link, escape(str(row["last_failed_at"])))


def _letter(letter: DeadLetter) -> tuple[str, ...]:
    link = f'<a href="{_path(letter)}">{code(letter.id)}</a>'
    key = NOTHING if letter.key is None else code(letter.key[:80])
    texts = (str(letter.attempts), str(letter.redrives), escape(letter.last_failed_at), escape(letter.state))
    return (link, escape(letter.category), escape(letter.message), key, *texts)


def _path(letter: DeadLetter) -> str:
    return escape(f"/deadletters/{quote(letter.id, safe='')}")


def render_letter(letter: DeadLetterDetail, outcome: str = "", refusal: str = "") -> str:
    """The page of one letter; `outcome` and `refusal` say what became of what its form asked for."""
    said = "".join(
        f'<p class="{kind}" role="status">{escape(text)}</p>'
        for kind, text in (("quiet", outcome), ("refusal", refusal))
        if text
    )
    index = grid(("", ""), [(name.replace("_", " "), _shown(getattr(letter, name))) for name in _INDEX])
    headers = grid(("header", "value"), [(code(each.name), _shown(each.value)) for each in letter.headers])
    payload = (
        f'<p class="refusal">{escape(letter.refusal)}</p>' + (_pre(letter.value) if letter.value else "")
        if letter.refusal
        else _pre(json.dumps(letter.payload, ensure_ascii=False, indent=2))
    )
    return frame(
        "Dead letter",
        HOME,
        f"{said}<h2>{code(letter.id)}</h2><section>{index}{_actions(letter)}</section>"
        f"<h2>Payload {escape(letter.contract or '')}</h2><section>{payload}</section>"
        f"<h2>Stack trace</h2><section>{_pre(letter.stacktrace)}</section><h2>Headers</h2><section>{headers}</section>",
    )


def _actions(letter: DeadLetterDetail) -> str:
    """A form each, which takes a token of role operator and a confirmation."""
    if letter.state in {"redriven", "discarded"}:
        return ""
    return "".join(
        f'<form action="{_path(letter)}" method="post"><input type="hidden" name="action" value="{action}">'
        f'<input type="hidden" name="letter" value="{escape(letter.letter)}">'
        '<label>Token <input name="token" type="password" required autocomplete="off"></label>'
        f'<label>Yes, {action} it <input name="confirm" type="checkbox" value="yes" required></label>'
        f"<button>{action.capitalize()}</button></form>"
        for action in (Action.REDRIVE.value, Action.DISCARD.value)
    )


def _shown(value: object) -> str:
    return NOTHING if value is None or value == "" else code(str(value))


def _pre(text: str) -> str:
    return code(text) if text else NOTHING
