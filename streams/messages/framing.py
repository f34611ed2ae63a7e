"""Confluent's framing of a value: a zero byte, the schema's id as 4 bytes big-endian, the Avro bytes."""

import struct

from streams.errors import InvalidMessage

MAGIC = 0
FRAME_SIZE = 5  # bytes before the Avro value
_HEADER = struct.Struct(">BI")


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
