"""Which partitions `--topic` means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import HeadraceError, UsageError
from streams.topology.partition_choice import chosen_partitions, parse_choice, those_given
from streams.topology.replay import Partition

SOURCES = ("orders", "returns")
COUNTS = {"orders": 3, "returns": 3}
ALL = {Partition(topic, number) for topic in SOURCES for number in range(3)}


def chosen(*texts: str) -> list[Partition]:
    return chosen_partitions(parse_choice(texts, "counts", SOURCES), COUNTS)


@given(st.sets(st.sampled_from(sorted(ALL)), min_size=1))
def test_partitions_are_what_was_named_however_it_was_split(named: set[Partition]) -> None:
    assert chosen(*(f"{topic}:{number}" for topic, number in named)) == sorted(named)
    joined = {topic: [str(each.number) for each in named if each.topic == topic] for topic in SOURCES}
    assert chosen(*(f"{topic}:{','.join(each)}" for topic, each in joined.items() if each)) == sorted(named)
    assert {*chosen("orders:1", "orders", "orders:2")} == {each for each in ALL if each.topic == "orders"}
    assert {*chosen()} == ALL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order", r"topic 'order' is no source of stage counts; it reads orders, returns"),
        ("", r"topic '' is no source .*"),
        ("orders:", r"--topic: expected topic or topic:0,1,..., got 'orders:'"),
        ("orders:-1", r"--topic: expected .*"),
        ("orders:0,", r"--topic: expected .*"),
        ("orders:0:1", r"--topic: expected .*"),
        ("orders:0,3", r"topic orders has partitions 0 to 2, got 3"),
    ],
)
def test_what_is_not_there_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f"^{expected}$"):
        chosen(text)


def test_a_source_that_is_not_on_the_cluster_is_named() -> None:
    with pytest.raises(HeadraceError, match=r"^topic returns is not on the cluster; run `headrace topology apply`$"):
        chosen_partitions(parse_choice([], "counts", SOURCES), {"orders": 3})


def given_by(file: set[str], *texts: str) -> list[str]:
    choice = parse_choice(texts, "counts", SOURCES)
    offsets = {Partition(topic, int(number)): 5 for topic, _, number in (each.partition("/") for each in file)}
    return list(map(str, those_given(choice, chosen_partitions(choice, COUNTS), offsets, SOURCES, "undo.csv")))


def test_a_file_may_be_of_some_partitions_and_a_choice_of_some_of_the_file() -> None:
    assert given_by({"orders/0", "returns/1"}) == ["orders/0", "returns/1"]
    assert given_by({"orders/0", "returns/1"}, "returns") == ["returns/1"]
    assert given_by({"orders/0", "orders/2"}, "orders:2") == ["orders/2"]


@pytest.mark.parametrize(
    ("file", "texts", "expected"),
    [
        (
            {"orders/0", "other/0"},
            (),
            "undo.csv has an offset for other/0, which is no partition of the stage's sources",
        ),
        ({"orders/3"}, (), "undo.csv has an offset for orders/3, which is no partition of the stage's sources"),
        ({"other/0"}, ("orders",), "undo.csv has an offset for other/0, .*"),
        ({"orders/0"}, ("orders:0,1",), "undo.csv has no offset for orders/1"),
        ({"orders/0"}, ("returns",), "undo.csv has no offset for any partition of returns"),
    ],
)
def test_a_file_of_other_partitions_is_refused(file: set[str], texts: tuple[str, ...], expected: str) -> None:
    with pytest.raises(HeadraceError, match=f"^{expected}$"):
        given_by(file, *texts)
