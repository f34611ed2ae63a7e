"""Confluent's two framings of a value.

In the value: a zero byte, the schema's id as 4 bytes big-endian, the Avro bytes. Or in the header `__value_schema_id`:
a byte 1 and the schema's GUID as 16 bytes (or a zero byte and the id, as above); the value is the Avro bytes alone.
Where the header is, it counts, whatever the value begins with. Source: confluent_kafka.schema_registry,
`header_schema_id_serializer` and `dual_schema_id_deserializer`.
"""

import struct
import uuid
from collections.abc import Mapping
from typing import Final

from streams.errors import InvalidMessage

MAGIC = 0
GUID_MAGIC = 1
GUID_SIZE = 16
FRAME_SIZE = 5  # bytes before the Avro value
SCHEMA_HEADER: Final = "__value_schema_id"
_HEADER = struct.Struct(">BI")

# What names a schema: its id in the registry, or its GUID.
SchemaName = int | bytes


def frame(schema_id: int, avro: bytes) -> bytes:
    """A value of the schema with this id."""
    return _HEADER.pack(MAGIC, schema_id) + avro


def schema_id_of(value: bytes | None) -> int:
    """Id of the schema that a value was written with.

    Raises:
        InvalidMessage: the value is empty, too short, or not framed.
    """
    if not value:
        raise InvalidMessage("expected a framed Avro value, got an empty one")
    if value[0] != MAGIC:
        raise InvalidMessage(
            f"expected magic byte 0x00, got 0x{value[0]:02x}; values are framed as Confluent's serializers do"
        )
    if len(value) < FRAME_SIZE:
        raise InvalidMessage(f"expected a magic byte and 4 bytes of schema id, got {len(value)} bytes")
    schema_id: int = _HEADER.unpack_from(value)[1]
    return schema_id


def schema_name_of(value: bytes | None, headers: Mapping[str, bytes | None]) -> SchemaName:
    """What names the schema of a value, in its header or in front of it.

    Args:
        value: of the record.
        headers: by name, the last of each.

    Raises:
        InvalidMessage: neither is there, or the one that counts is malformed.
    """
    header = headers.get(SCHEMA_HEADER)
    if header is None:
        return schema_id_of(value)
    if value is None:
        raise InvalidMessage(f"expected an Avro value, which header {SCHEMA_HEADER} announces, got none")
    if header[:1] == bytes((GUID_MAGIC,)) and len(header) == 1 + GUID_SIZE:
        return header[1:]
    if header[:1] == bytes((MAGIC,)) and len(header) == FRAME_SIZE:
        return schema_id_of(header)
    raise InvalidMessage(
        f"header {SCHEMA_HEADER}: expected 0x01 and a GUID of 16 bytes, or 0x00 and an id of 4, got {_shown(header)}"
    )


def framed(value: bytes, headers: Mapping[str, bytes | None], schema_id: int) -> bytes:
    """A value with its id in front, as readers of single fields and decoders take it; the same where it is there."""
    return value if headers.get(SCHEMA_HEADER) is None else frame(schema_id, value)


def told(name: SchemaName) -> str:
    """A name of a schema, for people."""
    return f"schema id {name}" if isinstance(name, int) else f"schema GUID {uuid.UUID(bytes=name)}"


def _shown(header: bytes) -> str:
    start = f"0x{header[:1].hex()} first" if header else "nothing"
    return f"{start}, {len(header)} bytes" if header else start
