"""What the benchmark sends, made ahead so that sending is as fast as librdkafka."""

import io
import random
import struct
from decimal import Decimal

import fastavro

from streams.messages.contracts import load_contracts

VARIETY = 3000
KEYS = 20_000


def orders(schema_id: int, folder: object) -> list[bytes]:
    """Framed orders of about 230 bytes; half of them above 1,000."""
    schema = load_contracts(folder)["order"].parsed  # type: ignore[arg-type]
    chance = random.Random(1)
    made = []
    for i in range(VARIETY):
        out = io.BytesIO()
        out.write(struct.pack(">bI", 0, schema_id))
        lines = [
            {"sku": f"SKU-{chance.randrange(10**6):06d}", "quantity": 1 + n, "unit_price": Decimal(1999 + n) / 100}
            for n in range(3)
        ]
        order = {
            "order_id": f"ORD-{i:08d}", "customer_id": f"C-{i % 997:06d}", "currency": "EUR", "lines": lines,
            "total_amount": Decimal(500 if i % 2 else 1500), "note": "please ring twice".ljust(125, "."),
        }  # fmt: skip
        fastavro.schemaless_writer(out, schema, order)
        made.append(out.getvalue())
    return made


def headers(i: int) -> list[tuple[str, bytes]]:
    """Six headers, as a CloudEvents producer sends them."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"m-%d" % i),
        ("ce_type", b"order"),
        ("ce_source", b"bench"),
        ("ce_time", b"2026-11-24T10:%02d:%02d.%03dZ" % (i // 60000 % 60, i // 1000 % 60, i % 1000)),
        ("priority", (b"high", b"normal", b"low")[i % 3]),
    ]
