"""A sealed field opens only as what it was sealed as; anything else, to the last bit, is refused."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.errors import InvalidMessage
from streams.security.data_keys import new_key, rewrapped
from streams.security.fields import Opener, Sealer, ShreddedField, Value
from streams.security.key_ring import KeyRing
from tests.unit.security.memory import RING, KeysInMemory

KEYS = KeysInMemory()
CANARY = "canary@example.org"
VALUES = st.text() | st.binary()


def seal(value: Value, path: str = "email", *, message: str = "m-1", keys: KeysInMemory = KEYS) -> Value:
    sealed = Sealer(keys).of_message("order", message, "C-7")(value, path)
    assert sealed is not None
    return sealed


def opened(
    sealed: Value, path: str = "email", *, of: str = "order", message: str = "m-1", keys: KeysInMemory = KEYS
) -> Value | None:
    return Opener(keys, frozenset({"order"})).of_message(of, message)(sealed, path)


@given(VALUES)
def test_what_is_sealed_opens(value: Value) -> None:
    sealed = seal(value)
    assert type(sealed) is type(value)
    assert opened(sealed) == value


def test_the_form_is_the_published_one() -> None:
    form = re.fullmatch("hr1:([^:]+):([A-Za-z0-9_-]+=*)", str(seal(CANARY)))
    assert form is not None
    assert form[1] == KEYS.newest("C-7")
    assert seal(b"x").isascii()


def test_the_same_text_never_looks_the_same() -> None:
    assert len({seal(CANARY) for _ in range(100)}) == 100


@given(VALUES, st.integers(min_value=0))
def test_any_bit_flipped_in_the_form_is_refused(value: Value, position: int) -> None:
    sealed = seal(value)
    flipped = bytearray(sealed.encode() if isinstance(sealed, str) else sealed)
    position %= 8 * len(flipped)
    flipped[position // 8] ^= 1 << position % 8
    damaged = bytes(flipped).decode("latin-1") if isinstance(sealed, str) else bytes(flipped)
    with pytest.raises(InvalidMessage):
        opened(damaged)


def test_every_bit_of_one_form_counts() -> None:
    sealed = str(seal(CANARY)).encode()
    for position in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(InvalidMessage):
            opened(bytes(flipped).decode("latin-1"))


@given(st.text(), st.text(), st.text())
def test_it_opens_only_in_its_type_field_and_message(of: str, path: str, message: str) -> None:
    assume((of, path, message) != ("order", "email", "m-1"))
    with pytest.raises(InvalidMessage, match="altered, or copied") as refused:
        opened(seal(CANARY), path, of=of, message=message)
    assert CANARY not in str(refused.value)


def test_another_kid_does_not_open_it() -> None:
    keys = KeysInMemory()
    kid = keys.newest("C-7")
    other = keys.newest("C-8")
    sealed = str(seal(CANARY, keys=keys))
    with pytest.raises(InvalidMessage, match="altered"):
        opened(sealed.replace(kid, other), keys=keys)


@pytest.mark.parametrize("value", ["", CANARY, "hr1:", "hr1:kid:", "hr1:kid:AAAA", "hr1::" + "A" * 40, b"\xff", b""])
def test_plaintext_in_a_tagged_field_is_refused_and_not_quoted(value: Value) -> None:
    with pytest.raises(InvalidMessage, match="email: expected an encrypted field") as refused:
        opened(value)
    assert CANARY not in str(refused.value)


def test_what_is_sealed_already_is_not_sealed_again() -> None:
    with pytest.raises(InvalidMessage, match=r"encrypted already.*security\.decrypt"):
        seal(seal(CANARY), message="m-2")
    assert opened(seal("hr1:of my own making")) == "hr1:of my own making"


def test_text_that_has_no_bytes_is_refused_and_not_quoted() -> None:
    with pytest.raises(InvalidMessage, match="UTF-8 cannot say") as refused:
        seal(CANARY + "\ud800")
    assert CANARY not in str(refused.value)


def test_after_rotations_old_messages_stay_readable() -> None:
    keys = KeysInMemory(KeyRing("2025", RING.keys))
    first = seal(CANARY, keys=keys)
    for key in keys.wrapped:
        keys.wrapped.take(*rewrapped(RING, key).record())
    keys.wrapped.take(*new_key(RING, "C-7", 2, keys.wrapped.newest("C-7")).record())
    second = seal(CANARY, keys=keys)
    assert str(first).split(":")[1] != str(second).split(":")[1]
    assert opened(first, keys=keys) == opened(second, keys=keys) == CANARY


def test_after_shredding_nothing_opens_and_new_messages_get_a_new_key() -> None:
    keys = KeysInMemory()
    sealed = seal(CANARY, keys=keys)
    keys.shred("C-7")
    with pytest.raises(ShreddedField, match="it was shredded"):
        opened(sealed, keys=keys)
    assert Opener(keys, frozenset(), shredded_as_null=True).of_message("order", "m-1")(sealed, "email") is None
    assert opened(seal(CANARY, keys=keys), keys=keys) == CANARY
