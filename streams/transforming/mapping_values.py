"""Where the values of a mapping come from: fields of the source, constants, texts put together or cut, tables.

Everything is looked up in the contracts once, here; what is left for a message is a small function. Findings about
the file are Mistakes, at the key that is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

from streams.errors import UsageError
from streams.messages.json_leaves import Convert, Misfit, compile_leaf, misfit
from streams.messages.paths import EVERY, MISSING, Step, lookup, parse_path
from streams.topology.conditions import Scalar
from streams.topology.integration import Split, TableLookup
from streams.topology.located import Located
from streams.transforming.avro_types import AvroType
from streams.transforming.casts import text_of

_COMPOUND = frozenset({"record", "array", "map", "union"})
_KEYS_OF_TABLES = frozenset({"string", "enum", "boolean", "int", "long", "uuid"})
_TEXT = AvroType("string", {})
_TEXTS = AvroType({"type": "array", "items": "string"}, {})


class Mistake(Exception):
    """Something about a mapping that lint reports: at `key` of `owner`, or of the field where that is None."""

    def __init__(self, message: str, key: str = "", owner: Located | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.owner = owner


@dataclass(frozen=True, slots=True)
class Found:
    """Values out of a source payload.

    Args:
        read: reads one; null where there is none.
        type: of those that are not null.
        may_be_null: whether null may come.
        what: names it in findings.
    """

    read: Convert
    type: AvroType
    may_be_null: bool
    what: str


def find(source: AvroType, path: str, key: str, owner: Located | None = None) -> Found:
    """The source's field at `path`, which stands under `key` of `owner`.

    Raises:
        Mistake: the source has none there.
    """
    try:
        steps = parse_path(path)
    except UsageError as error:
        raise Mistake(str(error), key, owner) from None
    if EVERY in steps:
        raise Mistake(f"{path!r} is many values; use each: for the items of a list", key, owner)
    found = source.at(steps)
    if found is None:
        near = get_close_matches(path[:100], source.fields, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(source.fields) or 'none'}"
        raise Mistake(f"no field {path!r} in {source.title}; {remedy}", key, owner)
    return Found(_reader(source, steps), *found, f"{path!r}")


def _reader(source: AvroType, steps: tuple[Step, ...]) -> Convert:
    if len(steps) == 1 and isinstance(steps[0], str):
        return itemgetter(steps[0])
    if len(steps) == 2 and source.fields[str(steps[0])].word == "record":  # noqa: PLR2004 a record in the record
        outer, inner = itemgetter(steps[0]), itemgetter(steps[1])
        return lambda payload: inner(outer(payload))

    def read(payload: Any) -> Any:
        value = lookup(payload, steps)
        return None if value is MISSING else value

    return read


def constant_of(value: Scalar, target: AvroType, key: str) -> Any:
    """The scalar of a file as a value of `target`: as JSON says it, with exact numbers.

    Raises:
        Mistake: it is none.
    """
    mistake = ""
    for branch in target.branches:
        if branch.word in _COMPOUND:
            continue
        try:
            return compile_leaf(branch.schema)(_as_json(value, branch))
        except Misfit as error:
            mistake = mistake or error.message
    raise Mistake(f"{mistake or f'{target.title} is no single value'}; correct the value", key)


def _as_json(value: Scalar, target: AvroType) -> object:
    if not isinstance(value, Decimal):
        return value
    return float(value) if target.word in {"float", "double"} else format(value, "f")


def concatenated(source: AvroType, parts: Sequence[str]) -> Found:
    """Texts and fields put together; null is empty text.

    A part that is written as a path is a field; in double quotes, or with anything that no path has, it is text.

    Raises:
        Mistake: a part is written as a path and the source has no such field, or none that can be text.
    """
    made = [_part(source, part, f"concat[{index}]") for index, part in enumerate(parts)]
    template = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in made)
    makes = [part for part in made if not isinstance(part, str)]

    def read(payload: Any) -> str:
        return template % tuple([make(payload) for make in makes])

    return Found(read, _TEXT, may_be_null=False, what="concat")


def _part(source: AvroType, part: str, key: str) -> str | Convert:
    if len(part) > 1 and part.startswith('"') and part.endswith('"'):
        return part[1:-1]
    if not part.replace("_", "").replace(".", "").replace("[", "").replace("]", "").isalnum():
        return part
    try:
        found = find(source, part, key)
    except Mistake as mistake:
        raise Mistake(f"{mistake.message} (text goes in double quotes: '\"{part}\"')", key) from None
    if found.type.word in _COMPOUND | {"bytes", "fixed"}:
        raise Mistake(f"{found.what} is {found.type.title}, which is no text; take a field of it", key)
    read, write = found.read, text_of(found.type)
    if not found.may_be_null:
        return read if found.type.word == "string" else lambda payload: write(read(payload))

    def read_or_empty(payload: Any) -> str:
        value = read(payload)
        return "" if value is None else write(value)

    return read_or_empty


def split_up(source: AvroType, split: Split) -> Found:
    """A text cut into parts: all of them as a list, or one, which is null where there are fewer.

    Raises:
        Mistake: the source has no such text.
    """
    found = find(source, split.from_, "from", split)
    if found.type.word != "string":
        raise Mistake(f"{found.what} is {found.type.title}; only text can be split", "from", split)
    read, by, part = found.read, split.by, split.part
    if part is None:

        def read_all(payload: Any) -> list[str] | None:
            text = read(payload)
            return None if text is None else text.split(by)

        return Found(read_all, _TEXTS, found.may_be_null, f"split of {found.what}")

    def read_part(payload: Any) -> str | None:
        text = read(payload)
        parts = () if text is None else text.split(by, part + 1)
        return parts[part] if part < len(parts) else None

    # The first part is there even of an empty text.
    return Found(read_part, _TEXT, part > 0 or found.may_be_null, f"part {part} of {found.what}")


def looked_up(source: AvroType, table: TableLookup, target: AvroType, unknown: Callable[[], Any] | None) -> Found:
    """What a table that is written out has for a field.

    Args:
        source: where the field is.
        table: the table, and which field is its key.
        target: of the values.
        unknown: gives the value for keys that the table lacks; None: such a message cannot be converted.

    Raises:
        Mistake: the table is a stage's, the key cannot be one, or a value does not fit.
    """
    if isinstance(table.table, str):
        raise Mistake(
            f"table {table.table!r} of a stage; a transformer cannot read the tables of other stages in this version; "
            "write the table out as {key: value, ...}",
            "table",
            table,
        )
    found = find(source, table.key, "key", table)
    if found.type.word not in _KEYS_OF_TABLES:
        keys = ", ".join(sorted(_KEYS_OF_TABLES))
        raise Mistake(f"{found.what} is {found.type.title}; a key is {keys}", "key", table)
    rows = _rows(table, target)
    read, write = found.read, text_of(found.type)

    def read_row(payload: Any) -> Any:
        key = read(payload)
        if key is None:
            return None
        value = rows.get(write(key), MISSING)
        if value is not MISSING:
            return value
        if unknown is None:
            raise misfit("a key of the lookup's table", key)
        return unknown()

    return Found(read_row, target, found.may_be_null, f"lookup of {found.what}")


def _rows(table: TableLookup, target: AvroType) -> Mapping[str, Any]:
    written = table.table
    if isinstance(written, str) or not written:
        raise Mistake("an empty table; no key is in it; add rows", "table", table)
    rows = {}
    for key, value in written.items():
        try:
            rows[key] = constant_of(value, target, "table")
        except Mistake as mistake:
            raise Mistake(f"row {key!r}: {mistake.message}", "table", table) from None
    return rows
