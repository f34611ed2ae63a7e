"""Reading single fields of an order: generated skip readers against decoding it whole with fastavro.

Run: `python bench/skipping.py`. Prints microseconds of one core a message, the best of five rounds.
"""

import io
import random
import timeit
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro

from streams.messages.contracts import contract_from
from streams.messages.framing import frame
from streams.messages.skipping import compile_reader, compile_readers

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
LINE = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "quantity", "type": "int"},
        {"name": "price", "type": MONEY},
    ],
}
FIELDS: list[dict[str, Any]] = [
    {"name": "order_id", "type": "string"},
    {"name": "customer_id", "type": "string"},
    {"name": "total_amount", "type": MONEY},
    {"name": "currency", "type": "string"},
    {"name": "lines", "type": {"type": "array", "items": LINE}},
    {"name": "note", "type": ["null", "string"], "default": None},
]
SCHEMA = contract_from({"type": "record", "name": "order", "namespace": "shop", "fields": FIELDS}).parsed
PATHS = ["order_id", "total_amount", "currency", "lines[0].quantity", "lines[*].sku", "note"]
ROUNDS, CALLS = 5, 100_000


def order(seed: int = 1) -> bytes:
    rnd = random.Random(seed)
    lines = [
        {"sku": f"SKU-{rnd.randrange(10**6):06}", "quantity": n + 1, "price": Decimal(rnd.randrange(10**5)) / 100}
        for n in range(8)
    ]
    payload = {
        "order_id": "ORD-00001",
        "customer_id": "C-17",
        "total_amount": Decimal("1234.56"),
        "currency": "EUR",
        "lines": lines,
        "note": "leave it at the door, please, and ring the bell twice",
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMA, payload)
    return frame(7, stream.getvalue())


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    value = order()
    read_all = fastavro.schemaless_reader

    def decode() -> object:
        return read_all(io.BytesIO(value[5:]), SCHEMA, None)

    nothing = microseconds(lambda: None)
    print(f"a value of {len(value)} bytes; us a message, less {nothing:.3f} us of measuring")
    for path in PATHS:
        read = compile_reader(SCHEMA, path)
        print(f"  {path:24}{microseconds(lambda read=read: read(value)) - nothing:8.2f}")  # type: ignore[misc]
    read_two = compile_readers(SCHEMA, ["total_amount", "currency"])
    print(f"  {'the 2nd and 3rd at once':24}{microseconds(lambda: read_two(value)) - nothing:8.2f}")
    print(f"  {'fastavro, all of it':24}{microseconds(decode) - nothing:8.2f}")


if __name__ == "__main__":
    main()
