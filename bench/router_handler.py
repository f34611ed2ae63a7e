"""What the router's handler costs a record, beside the shortest loop that takes the same decision unchecked.

`python bench/router_handler.py` prints microseconds of CPU a record, no Kafka involved: orders of 156 bytes with 7
headers and a new ce_time each; every record has its total read, a sixth goes to two destinations. Then 1,000 routes on
one header.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from streams.messages.message import Record
from streams.messages.skipping import compile_reader
from streams.routing.router import CompiledRouter, Handler, Matched
from tests.unit.routing.shop import ORDER, Batch, contract_of, headers, message, order, router

RECORDS = 20_000
ROUNDS = 7
BATCH = 500

ACCEPTANCE = """
{name: critical, conditions: [
   {field: message_type, operator: equals, value: order},
   {field: payload.total_amount, operator: greater_than, value: 1000},
   {field: headers.priority, operator: equals, value: high}],
 destinations: [{queue: express}, {topic: watched, subscription: fraud}],
 monitoring: {alert_on_failure: true, track_latency: true}},
{name: standard, conditions: [{field: message_type, operator: equals, value: order}], destinations: [{queue: standard}]}
"""


def records(number: int) -> list[Record]:
    lines = [{"sku": f"SKU-{n}", "quantity": n} for n in range(10)]
    made = []
    for i in range(number):
        value = order(order_id=f"ORD-{i % 500:05d}", total_amount=Decimal(100 + i % 2000), lines=lines, note="x" * 60)
        raw = headers(
            ce_id=b"m-%d" % i,
            ce_time=b"2027-01-15T07:59:%02d.%03dZ" % (i // 1000 % 60, i % 1000),
            priority=(b"high", b"normal", b"low")[i % 3],
            region=b"region-%d" % (i % 1000),
        )
        made.append(message(value, raw, key=b"ORD-%05d" % (i % 500), offset=i))
    return made


def by_hand(batch: Batch) -> Handler:
    read: Callable[[bytes], Any] = compile_reader(contract_of(ORDER).parsed, "total_amount")
    put_out = batch.out.append

    def handle(record: Record) -> None:
        raw = record.headers() or []
        value = record.value() or b""
        found = dict(raw)
        if found["ce_type"] == b"order":
            key, timestamp = record.key(), record.timestamp()[1]
            if read(value) > 1000 and found.get("priority") == b"high":
                put_out(("express", value, key, -1, timestamp, raw))
                put_out(("watched", value, key, -1, timestamp, raw))
            else:
                put_out(("standard", value, key, -1, timestamp, raw))

    return handle


def routed(compiled: CompiledRouter) -> Callable[[Batch], Handler]:
    def bind(batch: Batch) -> Handler:
        matched: Matched = defaultdict(list)
        return compiled.bind(batch, matched)

    return bind


def microseconds(bind: Callable[[Batch], Handler], made: list[Record]) -> float:
    """Best of several rounds, in batches as the engine makes them."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for begin in range(0, len(made), BATCH):
            handle = bind(Batch())
            for record in made[begin : begin + BATCH]:
                handle(record)
        best = min(best, time.process_time() - started)
    return best / len(made) * 1e6


def main() -> None:
    made = records(RECORDS)
    hand = microseconds(by_hand, made)
    checked = microseconds(routed(router(ACCEPTANCE)), made)
    print(f"by hand, unchecked: {hand:.2f} us a record")
    print(f"router:             {checked:.2f} us a record ({checked - hand:+.2f})")
    thousand = ",".join(
        f"{{name: r{n}, conditions: [{{field: message_type, operator: equals, value: order}},"
        f"{{field: headers.region, operator: equals, value: region-{n}}}], destinations: [{{queue: standard}}]}}"
        for n in range(1000)
    )
    started = time.process_time()
    many = router(thousand)
    compiled = time.process_time() - started
    print(f"1,000 routes:       {microseconds(routed(many), made):.2f} us a record, compiled in {compiled:.2f} s")


if __name__ == "__main__":
    main()
