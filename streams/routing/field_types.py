"""Which Python types a field of a message can have, by its contract: what lint compares operands with."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from streams.messages.avsc import Schema, kind_of, named_types
from streams.messages.contracts import Contract, Contracts
from streams.messages.logical import logical_type
from streams.routing.fields import Field

Types = frozenset[type]

_PRIMITIVES: Mapping[str, type] = {
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "enum": str,
    "bytes": bytes,
    "fixed": bytes,
    "record": dict,
    "map": dict,
    "array": list,
}
_LOGICAL: Mapping[str, type] = {
    "decimal": Decimal,
    "uuid": UUID,
    "date": date,
    "time-millis": time,
    "time-micros": time,
    "timestamp-millis": datetime,
    "timestamp-micros": datetime,
    "local-timestamp-millis": datetime,
    "local-timestamp-micros": datetime,
}
_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    bytes: "bytes",
    dict: "a record or map",
    list: "an array",
    Decimal: "a decimal",
    UUID: "a UUID",
    date: "a date",
    time: "a time of day",
    datetime: "an RFC 3339 time",
}
# No operator but `exists` applies to these.
UNCOMPARABLE: Types = frozenset({bytes, dict, list})


class FieldTypes:
    """Types of the fields of messages, each worked out once a contract: a thousand routes ask for the same few."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._known: dict[tuple[str, str], Types] = {}

    def of(self, found: Field, carried: Iterable[Contract]) -> Types:
        """Types that the field has in any of the contracts `carried`; none where it is a field of none of them.

        Headers, the key, ids and the message's type are bytes here, as in texts.py.
        """
        if found.place == "time":
            return frozenset({datetime})
        if found.place != "payload":
            return frozenset({bytes})
        return frozenset[type]().union(*(self._in_payload(contract, found.name) for contract in carried))

    def _in_payload(self, contract: Contract, path: str) -> Types:
        key = (contract.full_name, path)
        if key not in self._known:
            schema = self._contracts.field_type(contract, path)
            found = _schema_types(schema, named_types(contract.schema)) if schema is not None else ()
            self._known[key] = frozenset(found)
        return self._known[key]


def in_words(types: Types) -> str:
    """Types for people: `text or a decimal`."""
    return " or ".join(sorted(_WORDS[each] for each in types))


def _schema_types(schema: Schema, named: Mapping[str, Mapping[str, Any]]) -> set[type]:
    if isinstance(schema, str):
        schema = named.get(schema, schema)
    if isinstance(schema, list):
        return {each for branch in schema for each in _schema_types(branch, named)}
    kind = kind_of(schema)
    if kind == "null":
        return set()
    return {_LOGICAL.get(logical_type(schema) or "", _PRIMITIVES[kind])}
