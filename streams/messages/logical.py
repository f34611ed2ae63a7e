"""Logical types: how a primitive Avro value becomes a decimal, date, time or UUID, as fastavro does it but strict.

fastavro rounds a decimal that has more digits than its precision; here that is damage, in fastavro too (its table
of logical readers is the documented place to say so).
"""

from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import fastavro.read

LogicalReader = Callable[[Any, Any, Any], Any]  # (primitive value, its schema, reader's schema) -> value


@lru_cache(maxsize=256)
def decimal_arithmetic(precision: int, scale: int) -> tuple[int, Decimal, Callable[[int, Decimal], Decimal]]:
    """What turns an unscaled integer into a decimal: the first integer that is too large, the unit, `multiply`."""
    return 10**precision, Decimal((0, (1,), -scale)), Context(prec=precision).multiply


def read_decimal(data: bytes, schema: Mapping[str, Any], _reader_schema: object = None) -> Decimal:
    """Decimal of its two's complement bytes.

    Raises:
        ValueError: it has more digits than its precision.
    """
    limit, unit, multiply = decimal_arithmetic(schema["precision"], schema.get("scale", 0))
    unscaled = int.from_bytes(data, "big", signed=True)
    if not -limit < unscaled < limit:
        raise ValueError(f"a decimal has more than {schema['precision']} digits")
    return multiply(unscaled, unit)


for _name in ("bytes-decimal", "fixed-decimal"):
    fastavro.read.LOGICAL_READERS[_name] = read_decimal


def logical_reader(schema: object) -> LogicalReader | None:
    """The function that finishes a value of this schema, or None where the primitive value is it."""
    if not isinstance(schema, Mapping) or "logicalType" not in schema:
        return None
    found: LogicalReader | None = fastavro.read.LOGICAL_READERS.get(f"{schema['type']}-{schema['logicalType']}")
    return found


def logical_type(schema: object) -> str | None:
    """Name of the logical type that this schema has and we know, e.g. `decimal`."""
    return str(schema["logicalType"]) if isinstance(schema, Mapping) and logical_reader(schema) else None
