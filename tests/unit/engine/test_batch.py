"""Isolation per record: what a failing record sent and wrote is undone, it becomes a dead letter, the rest stands."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.batch import Batch
from streams.engine.stage import TP
from streams.errors import ConfigurationRefused, InvalidMessage, MessageRefused, NoRouteMatches
from tests.unit.engine.records import (
    KNOWN,
    LETTERS,
    OUT,
    PARTITION,
    SOURCE,
    TABLE,
    TIMESTAMP_MS,
    batch_of,
    new_cycle,
    record,
)

TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def sent(batch: Batch, topic: str = OUT) -> list[bytes | None]:
    return [output[1] for output in batch.out if output[0] == topic]


def counting(batch: Batch, fails: Callable[[Message], None]) -> Callable[[Message], None]:
    """Counts each record in the table and sends it on, then maybe fails."""
    rows = batch.state(TABLE)

    def handle(each: Message) -> None:
        rows.set(b"total", rows.get(b"total", 0) + 1)
        rows.set(each.key() or b"", each.offset())
        batch.send(OUT, each.value(), each.key())
        fails(each)

    return handle


def poison(*offsets: int) -> Callable[[Message], None]:
    def fails(each: Message) -> None:
        if each.offset() in offsets:
            raise ValueError(f"bug at {each.offset()}")

    return fails


def test_a_failing_record_costs_one_dead_letter_and_nothing_else() -> None:
    batch = batch_of([record(n, b"v%d" % n) for n in range(5)])
    batch.each(counting(batch, poison(2)))
    rows = batch.state(TABLE)
    assert [(output[0], output[1]) for output in batch.out] == [
        (OUT, b"v0"), (OUT, b"v1"), (LETTERS, b"v2"), (OUT, b"v3"), (OUT, b"v4"),
    ]  # fmt: skip
    assert rows.get(b"total") == 4
    assert rows.get(b"k2") is None
    assert batch.buried == {2}
    assert batch.failures == {("UNKNOWN", None): 1}


def test_a_letter_carries_the_records_key_value_headers_and_time() -> None:
    batch = batch_of([record(7, b"\xffbroken", [("ce_id", b"1"), ("x-opaque", b"\xff")])])
    batch.each(poison(7))
    ((topic, value, key, partition, timestamp, headers),) = batch.out
    assert (topic, value, key, partition, timestamp) == (LETTERS, b"\xffbroken", b"k7", -1, TIMESTAMP_MS)
    assert headers is not None
    assert headers[:2] == [("ce_id", b"1"), ("x-opaque", b"\xff")]
    named = dict(headers)
    assert named["__streams.errors.topic"] == SOURCE.encode()
    assert named["__streams.errors.partition"] == b"%d" % PARTITION
    assert named["__streams.errors.offset"] == b"7"
    assert named["headrace-stage"] == b"counting"


def test_letters_without_a_key_stand_where_their_record_would_fail_again() -> None:
    batch = batch_of([record(1, keyed=False), record(2, keyed=False)])
    batch.each(poison(1, 2))
    assert [output[3] for output in batch.out] == [PARTITION % KNOWN[LETTERS]] * 2


def test_a_tombstone_can_fail_too() -> None:
    batch = batch_of([record(1, None)])
    batch.each(poison(1))
    assert sent(batch, LETTERS) == [None]


def test_the_routes_name_is_told_where_the_error_knows_it() -> None:
    def handle(each: Message) -> None:
        raise InvalidMessage("x", route="critical") if each.offset() else NoRouteMatches("y")

    batch = batch_of([record(0), record(1)])
    batch.each(handle)
    routes = [dict(output[5] or ()).get("headrace-route") for output in batch.out]
    assert routes == [None, b"critical"]
    assert batch.failures == {("UNROUTABLE", None): 1, ("INVALID_FORMAT", "critical"): 1}


@given(
    fates=st.lists(st.sampled_from(["stands", "fails", "fails late"]), min_size=1, max_size=12),
    traced=st.booleans(),
    convicted=st.sets(st.integers(0, 11)),
)
def test_outputs_and_rows_are_those_of_the_records_that_stood(
    *, fates: list[str], traced: bool, convicted: set[int]
) -> None:
    refused = {offset: TOO_LARGE for offset in convicted if offset < len(fates)} if traced else {}
    batch = batch_of([record(n, b"%d" % n) for n in range(len(fates))], refused=refused, traced=traced)
    rows = batch.state(TABLE)
    model: dict[bytes, Any] = {}

    def handle(each: Message) -> None:
        offset = each.offset() or 0
        if fates[offset] == "fails":
            raise ValueError
        key = b"%d" % (offset % 3)
        rows.set(key, [*rows.get(key, []), offset])
        batch.send(OUT, each.value())
        if offset % 4 == 1:
            rows.delete(b"0")
        batch.send(OUT, each.value())
        if fates[offset] == "fails late":
            raise ValueError

    batch.each(handle)
    stood = [n for n, fate in enumerate(fates) if fate == "stands" and n not in refused]
    for offset in stood:
        key = b"%d" % (offset % 3)
        model[key] = [*model.get(key, []), offset]
        if offset % 4 == 1:
            model.pop(b"0", None)
    assert sent(batch) == [b"%d" % n for n in stood for _ in range(2)]
    assert sent(batch, LETTERS) == [b"%d" % n for n in range(len(fates)) if n not in stood]
    assert {key: rows.get(key) for key in (b"0", b"1", b"2") if rows.get(key) is not None} == model
    assert batch.buried == set(range(len(fates))) - set(stood)


def test_a_convicted_record_is_refused_and_its_route_named() -> None:
    batch = batch_of([record(n, b"v%d" % n) for n in range(3)], refused={1: TOO_LARGE}, traced=True)

    def handle(each: Message) -> None:
        batch.route = f"route-{each.offset()}"
        batch.send(OUT, each.value())

    batch.each(handle)
    assert sent(batch) == [b"v0", b"v2"]
    named = dict(next(output[5] or () for output in batch.out if output[0] == LETTERS))
    assert named["__streams.errors.exception"] == b"MessageRefused"
    assert named["headrace-category"] == b"INVALID_FORMAT"
    assert named["headrace-route"] == b"route-1"
    assert b"MSG_SIZE_TOO_LARGE" in (named["__streams.errors.message"] or b"")


def test_a_convicted_record_without_a_route_does_not_borrow_its_predecessors() -> None:
    batch = batch_of([record(0), record(1)], refused={1: TOO_LARGE}, traced=True)

    def handle(each: Message) -> None:
        if each.offset() == 0:
            batch.route = "critical"
        batch.send(OUT, each.value())

    batch.each(handle)
    named = dict(next(output[5] or () for output in batch.out if output[0] == LETTERS))
    assert "headrace-route" not in named


def test_a_traced_batch_knows_which_record_put_out_and_wrote_what() -> None:
    batch = batch_of([record(n) for n in range(4)], traced=True)
    rows = batch.state(TABLE)

    def handle(each: Message) -> None:
        offset = each.offset() or 0
        for _ in range(offset):
            batch.send(OUT, b"")
        rows.set(b"k%d" % (offset % 2), offset)
        if offset == 3:
            raise ValueError

    batch.each(handle)
    assert batch.marks == [(0, 0), (1, 1), (3, 2), (4, 3)]
    source = TP(SOURCE, PARTITION)
    assert rows.origins == {b"k0": (source, 2), b"k1": (source, 1)}


def test_what_was_written_before_the_records_is_not_undone_by_one_of_them() -> None:
    batch = batch_of([record(0)])
    rows = batch.state(TABLE)
    rows.set(b"batches", 1)
    batch.each(poison(0))
    assert rows.get(b"batches") == 1


def test_a_record_of_one_batch_does_not_undo_what_another_batch_wrote() -> None:
    cycle = new_cycle()
    first, second = batch_of([record(0)], cycle), batch_of([record(1)], cycle)
    first.state(TABLE).set(b"of the first", 1)  # an agent that writes outside `each`, then awaits

    def handle(each: Message) -> None:
        second.state(TABLE).set(b"of the second", each.offset())
        raise ValueError

    second.each(handle)
    assert first.state(TABLE).get(b"of the first") == 1
    assert first.state(TABLE).get(b"of the second") is None


def test_sending_where_the_stage_may_not_buries_the_record() -> None:
    batch = batch_of([record(0), record(1)])
    batch.each(lambda each: batch.send("elsewhere" if each.offset() == 0 else OUT, each.value()))
    assert sent(batch) == [b"v"]
    assert batch.failures == {("INVALID_FORMAT", None): 1}


@pytest.mark.parametrize("partition", [4, 99, -2])
def test_a_partition_that_does_not_exist_is_refused_before_it_is_produced(partition: int) -> None:
    batch = batch_of([record(0)])
    with pytest.raises(MessageRefused, match="4 partitions"):
        batch.send(OUT, b"", partition=partition)
    assert batch.out == []


def test_a_table_the_stage_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationRefused, match="has no table missing"):
        batch_of([record(0)]).state("missing")


def test_a_coroutine_function_is_refused_since_nobody_would_await_it() -> None:
    async def handle(each: Message) -> None:
        del each

    with pytest.raises(TypeError, match="async"):
        batch_of([record(0)]).each(handle)  # type: ignore[arg-type]


def test_where_names_the_record_that_is_being_handled() -> None:
    batch = batch_of([record(3), record(8), record(9)])
    seen: list[str] = []
    assert batch.where() == f"{SOURCE}/{PARTITION}@3"
    batch.each(lambda _each: seen.append(batch.where()))
    assert seen == [f"{SOURCE}/{PARTITION}@{n}" for n in (3, 8, 9)]


def test_where_names_it_in_a_traced_batch_too() -> None:
    batch = batch_of([record(3), record(8)], traced=True)
    seen: list[str] = []
    batch.each(lambda _each: seen.append(batch.where()))
    assert seen == [f"{SOURCE}/{PARTITION}@{n}" for n in (3, 8)]


def test_the_next_offset_follows_the_last_record_across_gaps() -> None:
    assert batch_of([record(3), record(8)]).next_offset == 9
