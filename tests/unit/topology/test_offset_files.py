"""Undo files: what is written is read again, what Kafka's tool wrote is read too, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import HeadraceError, UsageError
from streams.topology.offset_files import format_offsets, parse_offsets, read_offsets, write_offsets
from streams.topology.replay import Partition

TOPICS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", fullmatch=True)
OFFSETS = st.dictionaries(st.builds(Partition, TOPICS, st.integers(0, 10_000)), st.integers(0, 2**63 - 1), min_size=1)
P0 = Partition("orders", 0)


@given(OFFSETS)
def test_what_is_written_is_read_again(offsets: dict[Partition, int]) -> None:
    assert parse_offsets(format_offsets(offsets), "undo.csv") == offsets


@given(OFFSETS)
def test_quotes_and_line_ends_of_other_tools_make_no_difference(offsets: dict[Partition, int]) -> None:
    quoted = "".join(f'"{topic}",{number},{offset}\r\n' for (topic, number), offset in offsets.items())
    assert parse_offsets(quoted, "undo.csv") == offsets


@given(st.text(alphabet='ab019,."\n\r -\x00é'))
def test_any_text_is_offsets_or_one_line_that_names_the_file(text: str) -> None:
    refusals = []
    try:
        offsets = parse_offsets(text, "undo.csv")
        assert parse_offsets(format_offsets(offsets), "undo.csv") == offsets != {}
    except HeadraceError as error:
        refusals = str(error).splitlines()
    assert [line[:9] for line in refusals] in ([], ["undo.csv:"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"undo.csv: expected lines topic,partition,offset, got none"),
        ("orders,0,1\norders,x,2\n", r"undo.csv:2: expected topic,partition,offset, got 'orders,x,2'"),
        ("orders,0,-1\n", r"undo.csv:1: expected topic,partition,offset, got 'orders,0,-1'"),
        (
            "headrace.router,orders,0,1\n",
            r"undo.csv:1: expected topic,partition,offset, got 'headrace.router,orders,0,1'",
        ),
        ("orders,0,1\norders,0,2\n", r"undo.csv:2: orders/0 stands there already; leave one of them"),
        ("orders,0,99999999999999999999\n", r"undo.csv:1: expected topic,partition,offset, got .*"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(HeadraceError, match=f"^{expected}$"):
        parse_offsets(text, "undo.csv")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read .*none.csv: No such file or directory$"):
        read_offsets(tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"^cannot read .*: Is a directory$"):
        read_offsets(tmp_path)
    (tmp_path / "store").write_bytes(b"\xff\xfe\x00rocks")
    with pytest.raises(HeadraceError, match=r"store: expected lines topic,partition,offset, got something"):
        read_offsets(tmp_path / "store")


def test_a_way_back_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "replays" / "undo.csv"
    write_offsets(path, {P0: 5})
    write_offsets(path, {P0: 5})
    with pytest.raises(
        HeadraceError, match=r"undo.csv is there already, with something else in it; name another file$"
    ):
        write_offsets(path, {P0: 6})
    assert read_offsets(path) == {P0: 5}
    with pytest.raises(HeadraceError, match=r"^cannot write .*; name another file with --export$"):
        write_offsets(path / "below-a-file" / "undo.csv", {P0: 5})
