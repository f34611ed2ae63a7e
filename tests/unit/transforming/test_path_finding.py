"""Paths: the cheapest, one and the same in any order of converters, never in a circle."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from streams.transforming.converters import Converter
from streams.transforming.path_finding import Path, cheapest_path, formats_reached

FORMATS = ("a", "b", "c", "d", "e")


def edge(source: str, target: str, cost: int = 1) -> Converter:
    return Converter(source, target, cost, dict, f"{source}{target}")


EDGES = st.dictionaries(
    st.tuples(st.sampled_from(FORMATS), st.sampled_from(FORMATS)).filter(lambda pair: pair[0] != pair[1]),
    st.integers(1, 4),
    max_size=12,
).map(lambda costs: [edge(source, target, cost) for (source, target), cost in costs.items()])


def formats(path: Path) -> list[str]:
    return [hop.target for hop in path]


def every_path(edges: list[Converter], here: str, target: str, seen: frozenset[str]) -> Iterator[Path]:
    if here == target:
        yield ()
        return
    for each in edges:
        if each.source == here and each.target not in seen:
            for rest in every_path(edges, each.target, target, seen | {each.target}):
                yield (each, *rest)


def best(edges: list[Converter], source: str, target: str) -> Path | None:
    def rank(path: Path) -> tuple[int, int, list[str]]:
        return sum(hop.cost for hop in path), len(path), formats(path)

    return min(every_path(edges, source, target, frozenset({source})), key=rank, default=None)


@given(EDGES, st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_the_path_is_what_trying_all_of_them_finds(edges: list[Converter], source: str, target: str) -> None:
    assert cheapest_path(edges, source, target) == best(edges, source, target)


@given(EDGES, st.sampled_from(FORMATS), st.sampled_from(FORMATS), st.randoms(use_true_random=False))
def test_the_order_of_registration_changes_nothing(
    edges: list[Converter], source: str, target: str, chance: object
) -> None:
    shuffled = list(edges)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert cheapest_path(edges, source, target) == cheapest_path(shuffled, source, target)


@given(EDGES, st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_a_path_is_connected_and_never_comes_back(edges: list[Converter], source: str, target: str) -> None:
    path = cheapest_path(edges, source, target)
    if path is not None:
        visited = [source, *formats(path)]
        assert len(set(visited)) == len(visited)
        assert visited[-1] == target
        assert [hop.source for hop in path] == visited[:-1]


@given(EDGES, st.sampled_from(FORMATS))
def test_a_format_is_reached_exactly_where_there_is_a_path(edges: list[Converter], source: str) -> None:
    reached = formats_reached(edges, source)
    assert reached == [each for each in FORMATS if each != source and cheapest_path(edges, source, each) is not None]


def test_cheap_hops_go_before_one_dear_hop() -> None:
    path = cheapest_path([edge("a", "c", 3), edge("a", "b"), edge("b", "c")], "a", "c")
    assert path is not None
    assert formats(path) == ["b", "c"]


def test_of_equal_cost_the_shorter_path_is_taken() -> None:
    path = cheapest_path([edge("a", "b"), edge("b", "c"), edge("a", "c", 2)], "a", "c")
    assert path is not None
    assert formats(path) == ["c"]


def test_a_circle_of_converters_ends() -> None:
    circle = [edge("a", "b"), edge("b", "a"), edge("b", "c"), edge("c", "b")]
    assert cheapest_path(circle, "a", "d") is None
    assert formats(cheapest_path(circle, "a", "c") or ()) == ["b", "c"]


def test_a_format_needs_no_hop_to_itself() -> None:
    assert cheapest_path([], "a", "a") == ()
