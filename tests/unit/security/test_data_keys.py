"""Data keys survive rotation of the ring, are bound to whom they protect, and are gone when shredded."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ConfigurationRefused, TransientError
from streams.security.data_keys import Ciphers, WrappedKeys, new_key, read_record, rewrapped, unwrap
from streams.security.key_ring import KeyRing
from tests.unit.security.memory import RING, KeysInMemory

OLD = KeyRing("2025", {"2025": RING.keys["2025"]})


def test_a_record_says_all_there_is_to_know() -> None:
    key = new_key(RING, "C/7", now_ms=5)
    assert read_record(*key.record()) == ("C/7", key.kid, key)
    assert key.record()[0] == f"C/7/{key.kid}".encode()
    assert unwrap(RING, key) not in key.record()[1]


def test_after_a_rotation_the_same_data_key_is_there_under_the_new_ring_key() -> None:
    key = new_key(OLD, "C-7", now_ms=5)
    again = rewrapped(RING, key)
    assert again.ring_key == "2026"
    assert (again.kid, again.created_ms, unwrap(RING, again)) == (key.kid, key.created_ms, unwrap(OLD, key))
    assert unwrap(KeyRing("2026", {"2026": RING.keys["2026"]}), again)


def test_without_its_ring_key_a_data_key_waits_for_another_ring() -> None:
    key = new_key(RING, "C-7", now_ms=5)
    with pytest.raises(TransientError, match="wrapped with key 2026 of another ring"):
        unwrap(OLD, key)
    with pytest.raises(ConfigurationRefused, match="wrapped with key 2026"):
        rewrapped(OLD, key)
    with pytest.raises(TransientError, match="does not unwrap"):
        unwrap(KeyRing("2026", {"2026": b"x" * 32}), key)


@given(st.integers(min_value=0))
def test_any_bit_flipped_in_what_is_wrapped_is_refused(position: int) -> None:
    key = new_key(RING, "C-7", now_ms=5)
    wrapped = bytearray(key.wrapped)
    position %= 8 * len(wrapped)
    wrapped[position // 8] ^= 1 << position % 8
    with pytest.raises(TransientError):
        unwrap(RING, replace(key, wrapped=bytes(wrapped)))


def test_a_data_key_is_bound_to_its_subject_id_and_age() -> None:
    key = new_key(RING, "C-7", now_ms=5)
    for moved in (replace(key, subject="C-8"), replace(key, kid="x"), replace(key, created_ms=6)):
        with pytest.raises(TransientError):
            unwrap(RING, moved)


def test_two_made_at_once_are_both_valid_and_all_agree_on_the_newest() -> None:
    made = [new_key(RING, "C-7", now_ms=5) for _ in range(4)]
    newest = set()
    for order in permutations(made):
        keys = WrappedKeys()
        for key in order:
            keys.take(*key.record())
        newest.add(keys.newest("C-7"))
        assert {each.kid for each in keys.of("C-7")} == {each.kid for each in made}
    assert len(newest) == 1


def test_a_new_data_key_is_the_newest_though_the_clock_went_back() -> None:
    first = new_key(RING, "C-7", now_ms=1000)
    assert new_key(RING, "C-7", 10, first).age > first.age


def test_a_tombstone_takes_one_key_and_the_last_one_the_subject() -> None:
    keys = KeysInMemory()
    kid = keys.newest("C-7")
    second = new_key(RING, "C-7", now_ms=99)
    keys.wrapped.take(*second.record())
    assert keys.newest("C-7") == second.kid
    keys.wrapped.take(second.record()[0], None)
    assert keys.newest("C-7") == kid
    keys.shred("C-7")
    assert keys.wrapped.subjects() == []
    assert len(keys.wrapped) == 0
    assert keys.cipher(kid) is None


def test_a_key_that_was_unwrapped_is_forgotten_when_it_is_shredded() -> None:
    keys = WrappedKeys()
    ciphers = Ciphers(RING, keys)
    kid = keys.take(*new_key(RING, "C-7", now_ms=1).record())
    assert ciphers.of(kid) is ciphers.of(kid)
    ciphers.forget(keys.take(f"C-7/{kid}".encode(), None))
    assert ciphers.of(kid) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"C-7", b"{}"),
        (b"/kid", b"{}"),
        (b"C-7/", None),
        (b"\xff/kid", None),
        (b"C-7/kid", b""),
        (b"C-7/kid", b"[]"),
        (b"C-7/kid", json.dumps({"ring_key": "a", "created_ms": 1, "wrapped": "!"}).encode()),
        (b"C-7/kid", json.dumps({"ring_key": "a", "created_ms": "x", "wrapped": ""}).encode()),
    ],
)
def test_what_else_stands_on_the_topic_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(ConfigurationRefused, match=r"is no data key.*nothing but Headrace may write"):
        read_record(key, value)
