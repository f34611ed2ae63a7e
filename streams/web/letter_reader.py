"""Finds letters in the index of the dead letter stage, wherever its partitions are, page by page."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from streams.deadletters.filters import Filters
from streams.deadletters.index import LETTERS
from streams.deadletters.letter import Letter, LetterId
from streams.deadletters.requests import STAGE
from streams.messages.key_text import text_of
from streams.web.hop import Asked
from streams.web.paging import Page
from streams.web.parameters import MAX_LIMIT, Scan
from streams.web.refusals import Refusal
from streams.web.stages import TableOfStage
from streams.web.table_reader import TableReader

TABLE = f"{STAGE}.{LETTERS}"
MOST_LOOKED_AT = 20 * MAX_LIMIT  # letters of which one request looks for those that are meant


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Letters in the order of their ids; `next` is where a further request goes on, None at the end."""

    letters: tuple[Letter, ...]
    next: LetterId | None


class LetterReader:
    """Reads the index.

    Args:
        table: of the index; None where the topology has no dead letter stage.
        reader: of all tables.
    """

    def __init__(self, table: TableOfStage | None, reader: TableReader) -> None:
        self._table = table
        self._reader = reader

    async def get(self, letter_id: LetterId, authorization: str | None) -> Letter:
        """One letter.

        Raises:
            Refusal: 404 there is none; 503 nobody can say.
        """
        table, key = self._index(), letter_id.row_key()
        target = f"/api/tables/{table.name}/{quote(text_of(key), safe='')}"
        try:
            row = await self._reader.get(table, key, Asked(target, authorization=authorization))
        except Refusal as refusal:
            raise no_such_letter() if refusal.code == "no_such_key" else refusal from None
        return Letter.of_row(row.value)  # type: ignore[arg-type]  # a row of the index

    async def page(self, filters: Filters, after: LetterId | None, limit: int, authorization: str | None) -> LetterPage:
        """Up to `limit` letters that are meant; fewer, with a `next`, where they are far between.

        Raises:
            Refusal: 404 there is no index; 503 some partition cannot answer.
        """
        found: list[Letter] = []
        looked_at = 0
        key = None if after is None else after.row_key()
        while True:
            page = await self._rows(filters.prefix, key, authorization)
            for number, row in enumerate(page.rows, 1):
                letter = Letter.of_row(row.value)  # type: ignore[arg-type]  # a row of the index
                looked_at += 1
                if filters.matches(letter):
                    found.append(letter)
                if len(found) == limit or looked_at == MOST_LOOKED_AT:
                    complete = number == len(page.rows) and page.next is None
                    return LetterPage(tuple(found), None if complete else letter.id)
            key = page.next
            if key is None:
                return LetterPage(tuple(found), None)

    async def _rows(self, prefix: bytes, key: bytes | None, authorization: str | None) -> Page:
        table = self._index()
        asked = {"limit": str(MAX_LIMIT), "prefix": text_of(prefix)}
        if key is not None:
            asked["after"] = text_of(key)
        target = f"/api/tables/{table.name}?{urlencode(asked)}"
        return await self._reader.scan(table, Scan(prefix, key, MAX_LIMIT), Asked(target, authorization=authorization))

    def _index(self) -> TableOfStage:
        if self._table is None:
            raise Refusal(404, "no_such_table", "the topology has no stage, so there are no dead letters")
        return self._table


def no_such_letter() -> Refusal:
    """There is no letter of that id."""
    return Refusal(404, "no_such_letter", "the index has no letter of this id; GET /api/deadletters lists them")
