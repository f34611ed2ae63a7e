"""One CSV line as a payload: the contract's fields are the columns, in its order and of its types.

RFC 4180 with the contract's `"delimiter"` (a comma by default). An empty cell is null where the field may be null, its
default where it has one, else empty text where it is text. Numbers are exact.
"""

import csv
from collections.abc import Callable
from typing import Any

from streams.errors import InvalidMessage
from streams.messages.contracts import Contract
from streams.messages.json_leaves import Convert, Misfit, misfit
from streams.transforming.avro_types import AvroType
from streams.transforming.casts import compile_cast
from streams.transforming.converters import UnknownFormat
from streams.transforming.copying import Fill, Unassignable, absence

_TEXT = AvroType("string", {})
# What a contract calls a type and what its cast is called, where they differ.
_CASTS = {"local timestamp": "timestamp"}


def compile_csv_reader(contract: Contract) -> Callable[[bytes], dict[str, Any]]:
    """A function that reads one line; it raises InvalidMessage, naming the field.

    Raises:
        UnknownFormat: a field is no single value, or the delimiter no single character.
    """
    delimiter = contract.schema.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise UnknownFormat(f"{contract.name}: the delimiter {delimiter!r} is no single character")
    record = AvroType.of(contract)
    columns = [(name, _cell(contract, record, name)) for name in record.fields]

    def read(value: bytes) -> dict[str, Any]:
        cells = _cells(value, delimiter)
        if len(cells) != len(columns):
            raise InvalidMessage(f"expected {len(columns)} cells of {contract.name}, got {len(cells)}")
        payload = {}
        name = ""
        try:
            for (name, convert), cell in zip(columns, cells, strict=True):
                payload[name] = convert(cell)
        except Misfit as error:
            raise InvalidMessage(f"{name}: {error.message}") from None
        return payload

    return read


def _cells(value: bytes, delimiter: str) -> list[str]:
    try:
        rows = list(csv.reader(value.decode().splitlines(keepends=True), delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"expected a CSV line in UTF-8, got byte 0x{value[error.start]:02x}") from None
    except csv.Error as error:
        raise InvalidMessage(f"not CSV: {error}") from None
    if len(rows) != 1:
        raise InvalidMessage(f"expected one CSV line, got {len(rows)}; send a message for each line")
    return rows[0]


def _cell(contract: Contract, record: AvroType, name: str) -> Convert:
    wanted = record.fields[name]
    if len(wanted.branches) != 1:
        raise UnknownFormat(f"{contract.name}: {name} has several types; a cell has one")
    word = wanted.without_null.word
    try:
        convert = compile_cast(_CASTS.get(word, word), _TEXT, wanted.without_null)
    except (KeyError, Unassignable):
        raise UnknownFormat(
            f"{contract.name}: {name} is {wanted.without_null.title}; a cell holds a single value"
        ) from None
    fill = absence(record, name)
    return convert if word == "string" and fill is None else _unless_empty(convert, fill, wanted.title)


def _unless_empty(convert: Convert, fill: Fill | None, expected: str) -> Convert:
    def convert_cell(cell: Any) -> Any:
        if cell:
            return convert(cell)
        if fill is None:
            raise misfit(expected, cell)
        return fill()

    return convert_cell
