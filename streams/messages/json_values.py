"""Payloads in JSON: decimals are strings, bytes base64, timestamps RFC 3339, unions bare (design, section 11).

What comes in is checked field by field; a mistake says where, what was expected and what came:
`lines[0].quantity: expected int, got "x"`.
"""

import base64
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from streams.errors import InvalidMessage
from streams.messages.contracts import Contract
from streams.messages.headers import format_time
from streams.messages.json_leaves import Misfit
from streams.messages.json_types import compile_type

FromJson = Callable[[object], dict[str, Any]]


def to_json(value: object) -> object:
    """A decoded payload, or a part of one, as JSON can say it.

    Raises:
        TypeError: it holds what no payload holds.
    """
    convert = _TO_JSON.get(type(value))
    if convert is None:
        raise TypeError(f"expected a value of a payload, got {type(value).__name__}")
    return convert(value)


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity: they become strings, which `from_json` reads again."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _as_it_is(value: object) -> object:
    return value


_TO_JSON: dict[type, Callable[[Any], object]] = {
    **dict.fromkeys((str, int, bool, type(None)), _as_it_is),
    float: _number,
    dict: lambda value: {str(key): to_json(below) for key, below in value.items()},
    list: lambda value: [to_json(item) for item in value],
    bytes: lambda value: base64.b64encode(value).decode(),
    datetime: lambda value: format_time(value) if value.tzinfo else value.isoformat(),
    date: date.isoformat,
    time: time.isoformat,
    Decimal: lambda value: format(value, "f"),
    UUID: str,
}


def compile_from_json(contract: Contract, *, others_pass: bool = False) -> FromJson:
    """A function that turns parsed JSON into a payload of `contract`, for many values of one contract.

    The function raises InvalidMessage, naming the field, for the first thing that does not fit; with `others_pass`
    fields that the contract does not have are left out instead.
    """
    convert = compile_type(contract.schema, others_pass=others_pass)

    def convert_payload(value: object) -> dict[str, Any]:
        try:
            payload: dict[str, Any] = convert(value)
        except Misfit as misfit:
            raise InvalidMessage(misfit.line()) from None
        except RecursionError:
            raise InvalidMessage(f"{contract.name}: nested too deeply") from None
        return payload

    return convert_payload


def from_json(contract: Contract, value: object) -> dict[str, Any]:
    """Payload of `contract` that parsed JSON says.

    Raises:
        InvalidMessage: naming the first field that does not fit.
    """
    return compile_from_json(contract)(value)
