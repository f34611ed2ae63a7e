"""What one hop of the transformer costs a record, beside a bare loop that decodes, maps by hand and encodes.

`python bench/transformer_handler.py` prints microseconds of CPU a record, no Kafka involved: partner orders of three
items into orders of the next version, once by a mapping and once by a Python converter. The bare loop checks nothing
and copies key and headers; Headrace checks framing and headers, makes the new message's id and headers, reads its key
and checks what the Python converter made.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

sys.path.insert(0, str(Path(__file__).parents[1]))

from streams.engine.batch import CHUNK_OUTPUTS
from streams.messages.framing import frame
from streams.messages.message import Record
from streams.transforming.chains import HopTimes
from streams.transforming.converters import Converters
from tests.unit.transforming.partners import IDS, Batch, avro, contracts, headers, message, transformer

RECORDS = 3_000
ROUNDS = 9
BATCH = 500
Handler = Callable[[Record], None]
# The wide contracts of the tests: every kind of field that a mapping knows.
HOP = "transformations: [{source: wide, to: wide_2, destination: wides}]\n"
MAPPING = """
mappings:
  - from: wide
    to: wide_2
    fields:
      order_id: {from: ref}
      total: {from: amount}
      currency: {from: currency, default: EUR}
      buyer: {concat: [first, " ", last]}
      placed_at: {from: at}
      gift: {from: gift}
      lines: {each: items, fields: {sku: {from: code}, quantity: {from: qty}, price: {from: price}}}
"""


def mapped(payload: dict[str, Any]) -> dict[str, Any]:
    """What MAPPING says, by hand."""
    return {
        "order_id": payload["ref"],
        "total": payload["amount"],
        "currency": payload["currency"] or "EUR",
        "buyer": payload["first"] + " " + payload["last"],
        "placed_at": payload["at"],
        "gift": payload["gift"],
        "lines": [{"sku": item["code"], "quantity": item["qty"], "price": item["price"]} for item in payload["items"]],
    }


def bare(batch: Batch) -> Handler:
    """Decode, map, encode; nothing is checked."""
    source, target = contracts()["wide"].parsed, contracts()["wide_2"].parsed
    read, write, header, put_out = (
        fastavro.schemaless_reader,
        fastavro.schemaless_writer,
        frame(IDS["wide_2"], b""),
        batch.out.append,
    )

    def handle(record: Record) -> None:
        raw = record.headers()
        stream = BytesIO(record.value() or b"")
        stream.seek(5)
        made = BytesIO()
        made.write(header)
        write(made, target, mapped(read(stream, source, None)))
        put_out(("wides", made.getvalue(), record.key(), -1, record.timestamp()[1], raw))

    return handle


def by_function() -> Converters:
    converters = Converters()
    converters.register("wide", "wide_2")(mapped)
    return converters


def microseconds(ways: Sequence[Callable[[Batch], Handler]], made: list[Record]) -> list[float]:
    """Best of several rounds of each way, in batches as the engine makes them; the ways take turns."""
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for number, bind in enumerate(ways):
            started = time.process_time()
            for begin in range(0, len(made), BATCH):
                batch = Batch()
                handle = bind(batch)
                for record in made[begin : begin + BATCH]:
                    handle(record)
                    if len(batch.out) >= CHUNK_OUTPUTS:
                        batch.out.clear()  # where the engine hands them to the producer
            best[number] = min(best[number], time.process_time() - started)
    return [each / len(made) * 1e6 for each in best]


def records() -> list[Record]:
    items = [{"code": f"SKU-{n}", "qty": n, "price": Decimal("19.99")} for n in range(3)]
    order = {
        "amount": Decimal("59.97"),
        "currency": None,
        "first": "Ada",
        "last": "Byron",
        "gift": False,
        "items": items,
    }
    return [
        message(
            avro("wide", {**order, "ref": f"ORD-{i:05d}", "at": datetime(2027, 1, 15, tzinfo=UTC)}),
            headers("wide", ce_id=b"m-%d" % i, ce_time=b"2027-01-15T07:59:%02d.%03dZ" % (i // 1000 % 60, i % 1000)),
            topic="wide",
            offset=i,
        )
        for i in range(RECORDS)
    ]


def hop(text: str, converters: Converters) -> Callable[[Batch], Handler]:
    compiled = transformer("wide", text, converters)
    return lambda batch: compiled.bind(batch, HopTimes())


def main() -> None:
    gc.set_threshold(50_000, 20, 20)  # as a worker does: what is in flight is alive, not garbage
    alone, mapping, function = microseconds(
        [bare, hop(HOP + MAPPING, Converters()), hop(HOP, by_function())], records()
    )
    print(f"decode, map, encode: {alone:6.2f} us a record")
    print(f"mapping:             {mapping:6.2f} us a record, {alone / mapping:.2f} of the bare loop's speed")
    print(f"Python converter:    {function:6.2f} us a record, {alone / function:.2f} of the bare loop's speed")


if __name__ == "__main__":
    main()
