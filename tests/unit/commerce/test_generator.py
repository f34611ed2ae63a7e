"""The demo's generator: the same input makes the same message, and each says rightly what becomes of it."""

import io
import json
import struct
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.commerce.demo.messages import DEAD_LETTERS, EVENTS, EXPRESS, STANDARD, Generator
from streams.commerce.demo.ways import WAYS, Breaking, way_of
from streams.commerce.demo.wire import Encoder, Sound, index_of
from streams.errors import Category

SCHEMAS = Path(__file__).parents[3] / "schemas" / "commerce"
CONTRACTS = {
    name: fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text())) for name in ("order", "order_line")
}
IDS = {"order": 11, "order_line": 12}
STARTED_AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)

CATEGORIES = {way.__name__: category for way, category in WAYS}

seeds = st.integers(0, 2**31)
indices = st.integers(0, 2**31)


def generator(seed: int = 1) -> Generator:
    return Generator(seed, STARTED_AT, Encoder(CONTRACTS, IDS))


def decode(value: bytes) -> tuple[int, Any]:
    magic, schema_id = struct.unpack(">bI", value[:5])
    assert magic == 0
    contract = next(name for name, number in IDS.items() if number == schema_id)
    return schema_id, fastavro.schemaless_reader(io.BytesIO(value[5:]), CONTRACTS[contract], None)


@given(seeds, indices)
def test_the_same_seed_and_index_make_the_same_message(seed: int, index: int) -> None:
    assert generator(seed).message(index) == generator(seed).message(index)


@given(seeds, indices)
def test_a_message_can_be_recognised_by_its_header(seed: int, index: int) -> None:
    assert index_of(generator(seed).message(index).headers) == index


def test_one_in_fifty_carries_a_header_that_is_not_text() -> None:
    binary = [
        index
        for index in range(100)
        if not all(value.isascii() for _, value in generator().message(index, may_break=False).headers)
    ]
    assert binary == [0, 50]


@given(seeds, indices)
def test_a_sound_message_goes_where_the_topology_file_says(seed: int, index: int) -> None:
    message = generator(seed).message(index, may_break=False)
    headers = dict(message.headers)
    schema_id, order = decode(message.value)
    assert schema_id == IDS["order"]
    assert message.key == order["order_id"].encode()
    critical = order["total_amount"] > 1000 and headers.get("priority") == b"high"
    assert message.outcome.topics == ({EXPRESS, EVENTS} if critical else {STANDARD})
    assert message.outcome.category is None
    assert order["total_amount"] == sum(line["quantity"] * line["unit_price"] for line in order["lines"])


@settings(max_examples=5, deadline=None)
@given(seeds)
def test_one_message_in_199_is_broken_and_becomes_a_dead_letter(seed: int) -> None:
    outcomes = [generator(seed).message(index).outcome for index in range(1_990)]
    broken = [outcome for outcome in outcomes if outcome.category is not None]
    assert len(broken) == 10
    assert all(outcome.topics == {DEAD_LETTERS} for outcome in broken)
    assert all((outcome.way, outcome.category) in CATEGORIES.items() for outcome in broken)


@given(st.integers(0, 2**31))
def test_fifty_turns_take_each_way_about_as_often_and_the_costly_one_once(turn: int) -> None:
    taken = Counter(way_of(turn + number)[0].__name__ for number in range(50))
    assert taken.pop("too_large") == 1
    assert set(taken) == set(CATEGORIES) - {"too_large"}
    assert set(taken.values()) <= {5, 6}


def test_a_run_has_thousands_of_keys_and_both_sides_of_the_threshold() -> None:
    messages = [generator().message(index, may_break=False) for index in range(10_000)]
    amounts = {decode(message.value)[1]["total_amount"] for message in messages}
    assert len({message.key for message in messages}) > 4_000
    assert {Decimal("999.99"), Decimal("1000.00"), Decimal("1000.01")} <= amounts
    assert 200 < sum(len(message.value) for message in messages) / len(messages) < 260


class TestBrokenWays:
    def broken(self, name: str) -> Sound:
        message = generator().message(1, may_break=False)
        way = next(way for way, _ in WAYS if way.__name__ == name)
        breaking = Breaking(Random(5), Encoder(CONTRACTS, IDS), STARTED_AT)
        return way(Sound(message.key, message.value, message.headers), breaking)

    def test_there_are_ten_with_names_of_their_own(self) -> None:
        assert len({way.__name__ for way, _ in WAYS}) == 10

    @pytest.mark.parametrize("name", [way.__name__ for way, _ in WAYS])
    def test_each_changes_the_message_and_keeps_its_index(self, name: str) -> None:
        message = generator().message(1, may_break=False)
        broken = self.broken(name)
        assert (broken.value, broken.headers) != (message.value, message.headers)
        assert index_of(broken.headers) == 1

    @given(st.integers(0, 2**31))
    def test_a_truncated_value_ends_before_the_amount(self, seed: int) -> None:
        message = generator(seed).message(0, may_break=False)
        way = next(way for way, _ in WAYS if way.__name__ == "truncated_value")
        breaking = Breaking(Random(seed), Encoder(CONTRACTS, IDS), STARTED_AT)
        value = way(Sound(message.key, message.value, message.headers), breaking).value
        _, order = decode(message.value)
        before_amount = 5 + 1 + len(order["order_id"]) + 1 + len(order["customer_id"])
        assert 5 < len(value) <= before_amount

    def test_another_contract_is_sound_in_itself(self) -> None:
        schema_id, line = decode(self.broken("another_contract").value)
        assert schema_id == IDS["order_line"]
        assert line["line_number"] == 1

    def test_an_out_of_range_total_is_the_only_damage(self) -> None:
        wide = json.loads((SCHEMAS / "order.avsc").read_text())
        wide["fields"][2]["type"]["precision"] = 20
        value = io.BytesIO(self.broken("out_of_range_decimal").value[5:])
        order: Any = fastavro.schemaless_reader(value, fastavro.parse_schema(wide), None)
        _, sound = decode(generator().message(1, may_break=False).value)
        assert order["total_amount"] == Decimal("10000000000000.00")
        assert order | {"total_amount": 0} == sound | {"total_amount": 0}
        assert value.read() == b""

    def test_an_expired_message_is_older_than_its_ttl(self) -> None:
        headers = dict(self.broken("expired_ttl").headers)
        age = STARTED_AT - datetime.fromisoformat(headers["ce_time"].decode())
        assert age > timedelta(seconds=int(headers["ttl"]))

    def test_an_undecodable_header_is_not_utf8(self) -> None:
        with pytest.raises(UnicodeDecodeError):
            dict(self.broken("undecodable_header").headers)["ce_source"].decode()

    def test_a_too_large_message_is_a_critical_order_over_the_limit(self) -> None:
        broken = self.broken("too_large")
        _, order = decode(broken.value)
        assert order["total_amount"] > 1000
        assert dict(broken.headers)["priority"] == b"high"
        assert 262_144 < len(broken.value) < 1_000_000

    def test_only_an_expired_one_is_not_a_matter_of_format(self) -> None:
        others = {category for way, category in WAYS if way.__name__ != "expired_ttl"}
        assert others == {Category.INVALID_FORMAT}


def test_a_header_that_is_no_number_is_no_index() -> None:
    message = generator().message(3)
    headers = tuple((name, b"x" + value if name == "demo-index" else value) for name, value in message.headers)
    assert index_of(replace(message, headers=headers).headers) is None
