"""A cycle's writes to one table partition: undone record by record, seen by nobody else before the commit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.state import TablePartition, WriteSet
from streams.engine.stores import Mark, StoreClosed
from tests.unit.engine.records import table

MARK = Mark("c", "t", 1, 0.0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
Key = st.sampled_from([b"a", b"b", b"c", b"d"])
Step = (
    st.tuples(st.just("set"), Key, JSON)
    | st.tuples(st.just("delete"), Key, st.none())
    | st.tuples(st.sampled_from(["undo", "stand"]), st.just(b""), st.none())
)
_GONE = object()


def committed(**rows: bytes) -> TablePartition:
    of = table()
    of.store.apply([(key.encode(), value) for key, value in rows.items()], MARK)
    return of


def apply_to(model: dict[bytes, Any], step: tuple[str, bytes, Any]) -> None:
    kind, key, value = step
    if kind == "set":
        model[key] = value
    elif kind == "delete":
        model.pop(key, None)


@given(st.lists(Step, max_size=25))
def test_writes_undone_and_standing_agree_with_a_dict(steps: list[tuple[str, bytes, Any]]) -> None:
    writes = WriteSet(committed(a=b"1", b=b'"x"'))
    stood: dict[bytes, Any] = {b"a": 1, b"b": "x"}
    now = dict(stood)
    for step in steps:
        kind, key, value = step
        if kind == "set":
            writes.set(key, value)
        elif kind == "delete":
            writes.delete(key)
        elif kind == "undo":
            writes.rollback()
            now = dict(stood)
        else:
            writes.undo.clear()
            stood = dict(now)
        apply_to(now, step)
        for each in (b"a", b"b", b"c", b"d"):
            expected = now.get(each, _GONE)
            found = writes.get(each, _GONE)
            assert found == expected or (found is _GONE and expected is _GONE)


@given(st.lists(Step, max_size=25))
def test_what_stands_applied_to_the_store_is_what_was_seen(steps: list[tuple[str, bytes, Any]]) -> None:
    of = committed(a=b"1", b=b'"x"')
    writes = WriteSet(of)
    for kind, key, value in steps:
        if kind == "set":
            writes.set(key, value)
        elif kind == "delete":
            writes.delete(key)
        elif kind == "undo":
            writes.rollback()
        else:
            writes.undo.clear()
    seen = {key: writes.get(key, "absent") for key in (b"a", b"b", b"c", b"d")}
    of.store.apply(writes.rows.items(), MARK)
    after = WriteSet(of)
    assert {key: after.get(key, "absent") for key in seen} == seen


@given(JSON)
def test_a_value_comes_back_equal(value: Any) -> None:
    writes = WriteSet(table())
    writes.set(b"k", value)
    assert writes.get(b"k", _GONE) == value


def test_changing_what_was_read_or_written_changes_no_state() -> None:
    writes = WriteSet(committed(old=b'{"lines":[1]}'))
    read = writes.get(b"old")
    read["lines"].append(2)
    written = {"lines": [1]}
    writes.set(b"new", written)
    written["lines"].append(2)
    writes.get(b"new")["lines"].append(3)
    assert writes.get(b"old") == {"lines": [1]}
    assert writes.get(b"new") == {"lines": [1]}
    assert set(writes.rows) == {b"new"}


def test_the_store_is_untouched_until_it_is_told() -> None:
    of = committed(a=b"1")
    writes = WriteSet(of)
    writes.set(b"a", 2)
    writes.delete(b"b")
    assert of.store.get(b"a") == b"1"


def test_a_value_that_is_no_json_is_refused_and_writes_nothing() -> None:
    writes = WriteSet(table())
    with pytest.raises(TypeError):
        writes.set(b"k", object())
    assert writes.rows == {}
    writes.rollback()
    assert writes.get(b"k") is None


def test_a_null_value_is_a_value_and_a_deleted_row_has_none() -> None:
    writes = WriteSet(table())
    writes.set(b"k", None)
    assert writes.get(b"k", "default") is None
    writes.delete(b"k")
    assert writes.get(b"k", "default") == "default"
    assert writes.rows == {b"k": None}


def test_closing_a_complete_partition_notes_when_it_was_complete() -> None:
    of = committed(a=b"1")
    of.close(99.0, complete=True)
    assert of.store.mark == Mark("c", "t", 1, 99.0)
    with pytest.raises(StoreClosed):
        of.store.get(b"a")


def test_closing_an_incomplete_partition_leaves_its_mark() -> None:
    of = committed(a=b"1")
    of.close(99.0, complete=False)
    assert of.store.mark == MARK
