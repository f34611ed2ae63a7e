"""Decodes a whole framed value with fastavro, safely.

fastavro trusts its input: 20,000 levels of a recursive type end the process, and an array of nulls may claim 2^62
items. Values of such types are first walked over by a generated checker; all others go straight to fastavro.
"""

import struct
from collections.abc import Callable
from decimal import DecimalException
from io import BytesIO
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.avsc import Schema, kind_of, named_types
from streams.messages.defaults import with_python_defaults
from streams.messages.framing import FRAME_SIZE
from streams.messages.skip_source import NotSkippable, Skips, Source

Decode = Callable[[bytes], dict[str, Any]]

# What damaged bytes raise, in fastavro and in generated readers.
DAMAGE = (
    EOFError,
    LookupError,
    ValueError,
    OverflowError,
    DecimalException,
    struct.error,
    TypeError,
    SchemaResolutionError,
)


def compile_decoder(writer: Schema, reader: Schema | None = None) -> Decode:
    """A function that decodes framed values of `writer` (parsed), resolved to `reader` where that differs.

    The function raises InvalidMessage for whatever is wrong with a value; bytes after the value are ignored.
    """
    reader = with_python_defaults(reader) if reader is not None else None
    check = compile_check(writer) if is_hazardous(writer) else None
    name, read = writer["name"], fastavro.schemaless_reader

    def decode(value: bytes) -> dict[str, Any]:
        try:
            if check is not None:
                check(value)
            stream = BytesIO(value)
            stream.seek(FRAME_SIZE)
            payload: dict[str, Any] = read(stream, writer, reader)
        except DAMAGE as error:
            raise InvalidMessage(f"cannot decode {name} from {len(value)} bytes: {_reason(error)}") from None
        return payload

    return decode


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"it ends too early or is damaged ({text or type(error).__name__})"[:200]


def is_hazardous(schema: Schema) -> bool:
    """Whether a few bytes of this type can make fastavro recurse or loop without bound."""
    skips, types = Skips(Source(), schema), named_types(schema)

    def hazardous(each: Schema, around: frozenset[str]) -> bool:
        if isinstance(each, str) and each in types:
            each = types[each]
        kind = kind_of(each)
        if kind == "union":
            return any(hazardous(branch, around) for branch in each)
        if kind == "array":
            return not skips.takes_bytes(each["items"]) or hazardous(each["items"], around)
        if kind == "map":
            return hazardous(each["values"], around)
        if kind not in {"record", "error"}:
            return False
        if each["name"] in around:
            return True
        return any(hazardous(field["type"], around | {each["name"]}) for field in each["fields"])

    return hazardous(schema, frozenset())


def compile_check(schema: Schema) -> Callable[[bytes], None]:
    """A function that walks over a framed value, raising one of DAMAGE where it is nested or sized absurdly."""
    source = Source()
    skips = Skips(source, schema)
    try:
        source.line(0, "def check(data):")
        source.line(1, f"pos = {FRAME_SIZE}")
        skips.skip(schema, 1)
        source.line(1, "if pos > len(data): raise IndexError('the value ends too early')")
        skips.write_functions()
    except NotSkippable:
        raise ConfigurationRefused(
            f"contract {schema['name']}: a union of more than 64 branches in a recursive type"
        ) from None
    check: Callable[[bytes], None] = source.compile(f"<check of {schema['name']}>", "check")
    return check
