"""A signature covers key, id, type, source, time and value, each for itself; anything else about it is refused."""

import base64
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.errors import InvalidMessage
from streams.security.key_ring import KeyRing
from streams.security.parts import join_parts
from streams.security.signatures import COVERED, HEADER, Signer, Verifier
from tests.unit.security.memory import RING

PARTS = st.lists(st.none() | st.binary(max_size=12), min_size=6, max_size=6)
MESSAGE: list[bytes | None] = [b"ORD-1", b"m-1", b"order", b"shop", b"2026-01-31T12:00:00Z", b"\0\0\0\0\7avro"]


def headers_of(parts: list[bytes | None]) -> list[tuple[str, bytes | None]]:
    return [(name, part) for name, part in zip(COVERED, parts[1:5], strict=True) if part is not None]


def signed(parts: list[bytes | None], ring: KeyRing = RING) -> list[tuple[str, bytes | None]]:
    headers = headers_of(parts)
    return [*headers, (HEADER, Signer(ring).sign(parts[0], dict(headers), parts[5]))]


def check(parts: list[bytes | None], headers: list[tuple[str, bytes | None]], ring: KeyRing = RING) -> None:
    Verifier(ring).check(parts[0], headers, parts[5])


def test_the_form_is_the_published_one() -> None:
    covered = b"".join(len(part or b"").to_bytes(4, "big") + (part or b"") for part in MESSAGE)
    mac = base64.b64encode(hmac.new(RING.keys["2026"], covered, "sha256").digest())
    assert dict(signed(MESSAGE))[HEADER] == b"keyid=2026,alg=HS256,sig=" + mac


def test_a_null_part_is_four_bytes_of_ones() -> None:
    assert join_parts(None, b"a", b"") == b"\xff\xff\xff\xff\0\0\0\1a\0\0\0\0"


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_are_the_same_bytes(one: list[bytes | None], other: list[bytes | None]) -> None:
    assume(one != other)
    assert join_parts(*one) != join_parts(*other)


@given(PARTS)
def test_what_was_signed_is_valid(parts: list[bytes | None]) -> None:
    check(parts, signed(parts))


@given(PARTS, st.integers(0, 5), st.none() | st.binary(max_size=12))
def test_each_covered_part_counts(parts: list[bytes | None], index: int, other: bytes | None) -> None:
    assume(parts[index] != other)
    changed = [*parts[:index], other, *parts[index + 1 :]]
    with pytest.raises(InvalidMessage, match="wrong signature"):
        check(changed, [*headers_of(changed), signed(parts)[-1]])


@given(st.integers(min_value=0))
def test_each_bit_of_the_header_counts(position: int) -> None:
    header = bytearray(dict(signed(MESSAGE))[HEADER] or b"")
    position %= 8 * len(header)
    header[position // 8] ^= 1 << position % 8
    with pytest.raises(InvalidMessage):
        check(MESSAGE, [*headers_of(MESSAGE), (HEADER, bytes(header))])


def test_other_headers_may_change_on_the_way() -> None:
    check(MESSAGE, [("priority", b"high"), *signed(MESSAGE), ("traceparent", b"x"), ("traceparent", None)])


def test_after_a_rotation_the_old_key_is_valid_until_it_leaves_the_ring() -> None:
    old = KeyRing("2025", RING.keys)
    check(MESSAGE, signed(MESSAGE, old))
    with pytest.raises(InvalidMessage, match="key 2025 is not in the key ring"):
        check(MESSAGE, signed(MESSAGE, old), KeyRing("2026", {"2026": RING.keys["2026"]}))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "is missing"),
        (b"", "another form"),
        (b"keyid=2026,alg=none,sig=", "another form"),
        (b"keyid=2026,alg=HS256,sig=" + b"A" * 43 + b"=", "wrong signature"),
        (b"keyid=2027,alg=HS256,sig=" + b"A" * 43 + b"=", "key 2027 is not in the key ring"),
        ("keyid=ä,alg=HS256,sig=".encode() + b"A" * 43 + b"=", "another form"),
    ],
)
def test_another_header_is_refused(header: bytes | None, said: str) -> None:
    with pytest.raises(InvalidMessage, match=said):
        check(MESSAGE, [*headers_of(MESSAGE), (HEADER, header)])


@pytest.mark.parametrize("name", [HEADER, *COVERED])
def test_of_two_headers_of_one_name_none_counts(name: str) -> None:
    headers = signed(MESSAGE)
    with pytest.raises(InvalidMessage, match=f"{name} comes twice"):
        check(MESSAGE, [*headers, (name, dict(headers)[name])])
