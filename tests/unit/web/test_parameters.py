import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages.key_text import text_of
from streams.web.parameters import MAX_KEY_BYTES, Scan, key_of, partitions_of, scan_of, table_and_key
from streams.web.refusals import Refusal


@given(st.binary(max_size=MAX_KEY_BYTES))
def test_the_text_of_any_key_leads_back_to_it(key: bytes) -> None:
    assert key_of(text_of(key)) == key


@given(st.text().map(lambda text: f"base64:{text}".encode()))
def test_a_key_that_looks_like_base64_text_is_no_trap(key: bytes) -> None:
    assert key_of(text_of(key)) == key


@given(st.text(st.characters(codec="utf-8"), max_size=50))
def test_a_utf8_key_is_shown_as_it_is(text: str) -> None:
    if not text.startswith("base64:"):
        assert text_of(text.encode()) == text


@given(st.text(max_size=60))
def test_any_query_is_read_or_refused_with_400(raw: str) -> None:
    try:
        assert isinstance(scan_of(raw), Scan)
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 what is refused must be refused so


def test_a_query_is_decoded() -> None:
    assert scan_of("prefix=a%2Fb+c&after=%C3%A4&limit=7") == Scan(b"a/b c", "ä".encode(), 7)


@pytest.mark.parametrize(
    "raw",
    [
        "limit=0", "limit=1001", "limit=-1", "limit=1e2", "limit=%D9%A1", "limit=", "limit=99999999999999999999",
        "prefix=%ff", "prefix=%", "prefix=%zz", "after=%c3", "limt=5", "limit=1&limit=2",
        "prefix=" + "a" * (MAX_KEY_BYTES + 1), "after=base64:%25", "after=base64:a",
    ],
)  # fmt: skip
def test_a_malformed_query_is_refused(raw: str) -> None:
    with pytest.raises(Refusal) as refused:
        scan_of(raw)
    assert refused.value.status == 400


@pytest.mark.parametrize("path", ["t/%ff", "t/%", "t/a%2", "%ff/key"])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(Refusal):
        table_and_key("/api/tables/" + path)


def test_a_key_may_hold_slashes_and_percent_signs() -> None:
    assert table_and_key("/api/tables/orders.state/a%2Fb/c%2525") == ("orders.state", "a/b/c%25")


@pytest.mark.parametrize("header", ["", "x", "1,", "-1", "1.5", "1" * 7, "\u0661"])
def test_malformed_partitions_are_refused(header: str) -> None:
    with pytest.raises(Refusal):
        partitions_of(header)
