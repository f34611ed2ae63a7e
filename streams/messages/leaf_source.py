"""Source code that reads one leaf of a message: it sets `value`, as fastavro decodes it, and moves `pos` past it."""

import struct
from typing import Any

from streams.messages.avsc import Schema, kind_of
from streams.messages.logical import decimal_arithmetic, logical_reader, logical_type
from streams.messages.skip_source import Source

_NUMBER = """\
value = data[pos]
pos += 1
if value < 128: value = (value >> 1) ^ -(value & 1)
else: value, pos = read_long(data, pos - 1)"""

_SPAN = """\
width = SPAN[data[pos]]
if width:
    start = pos + 1
    pos += width
else: start, pos = read_span(data, pos)
if pos > len(data): raise IndexError('the value ends too early')
value = data[start:pos]"""

_FLOAT = """\
value = {unpack}(data, pos)[0]
pos += {size}"""

_FIXED = """\
value = data[pos:pos + {size}]
pos += {size}
if pos > len(data): raise IndexError('the value ends too early')"""

_ENUM = """
if value < 0: raise IndexError('no such symbol of an enum')
value = {symbols}[value]"""

_DECIMAL = """
value = from_bytes(value, 'big', signed=True)
if not -{limit} < value < {limit}: raise ValueError('a decimal has more digits than its precision')
value = {multiply}(value, {unit})"""

_LEAVES = {
    "boolean": "value = data[pos] != 0\npos += 1",
    "int": _NUMBER,
    "long": _NUMBER,
    "enum": _NUMBER + _ENUM,
    "float": _FLOAT,
    "double": _FLOAT,
    "string": _SPAN,
    "bytes": _SPAN,
    "fixed": _FIXED,
}
_FLOATS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}


def is_leaf(schema: Schema) -> bool:
    """Whether a value of this (resolved) type can be read here."""
    return kind_of(schema) in _LEAVES


def write_leaf(source: Source, schema: Schema, indent: int) -> None:
    """Write the reading of one leaf."""
    kind = kind_of(schema)
    template = _LEAVES[kind]
    bound: dict[str, Any] = {"size": schema["size"]} if kind == "fixed" else {}
    if kind in _FLOATS:
        bound = {"size": _FLOATS[kind].size, "unpack": source.bind("unpack", _FLOATS[kind].unpack_from)}
    elif kind == "enum":
        bound = {"symbols": source.bind("symbols", tuple(schema["symbols"]))}
    if logical_type(schema) == "decimal":
        limit, unit, multiply = decimal_arithmetic(schema["precision"], schema.get("scale", 0))
        source.names["from_bytes"] = int.from_bytes
        template += _DECIMAL
        bound |= {"limit": limit, "unit": source.bind("unit", unit), "multiply": source.bind("multiply", multiply)}
    else:
        if kind == "string":
            template += ".decode()"
        finish = logical_reader(schema)
        if finish:
            bound |= {"finish": source.bind("finish", finish), "schema": source.bind("schema", schema)}
            template += "\nvalue = {finish}(value, {schema}, None)"
    for line in template.format(**bound).splitlines():
        source.line(indent, line)
