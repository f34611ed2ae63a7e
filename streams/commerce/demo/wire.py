"""A message as it is put on the wire, by hand: the demo checks Headrace, so it encodes nothing with it."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

Headers = tuple[tuple[str, bytes], ...]

INDEX_HEADER = "demo-index"


@dataclass(frozen=True, slots=True)
class Sound:
    """The parts of a message that nothing is wrong with, before one of the broken ways takes hold of it."""

    key: bytes
    value: bytes
    headers: Headers

    def header_removed(self, name: str) -> Headers:
        """Its headers without `name`."""
        return tuple(header for header in self.headers if header[0] != name)

    def header_set(self, name: str, value: bytes) -> Headers:
        """Its headers with the value of `name` replaced, in place."""
        return tuple((each, value if each == name else old) for each, old in self.headers)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Avro in Confluent's framing, for the contracts whose parsed schema and id it is given."""

    schemas: Mapping[str, Any]  # fastavro's parsed schemas are typed as Any-valued dicts
    ids: Mapping[str, int]

    def encode(self, contract: str, payload: Mapping[str, object]) -> bytes:
        """Value of a message: 0x00, schema id (big-endian, 4 bytes), Avro."""
        out = io.BytesIO()
        out.write(struct.pack(">bI", 0, self.ids[contract]))
        fastavro.schemaless_writer(out, self.schemas[contract], payload)
        return out.getvalue()


def index_header(index: int) -> tuple[str, bytes]:
    """The header by which a recount knows a message, however broken the rest of it is."""
    return (INDEX_HEADER, b"%d" % index)


def index_of(headers: Headers) -> int | None:
    """Index of the message that these headers came from, None for a stranger's."""
    for name, value in headers:
        if name == INDEX_HEADER and value.isdigit():
            return int(value)
    return None
