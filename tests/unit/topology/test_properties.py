"""What holds of every file and every cluster."""

from contextlib import suppress
from dataclasses import replace
from typing import Literal

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.stage import StageSpec, TableSpec
from streams.errors import FindingsFound
from streams.topology.changes import PresetOffsets
from streams.topology.cluster_state import ClusterState, TopicState
from streams.topology.lint import lint
from streams.topology.loading import parse_topology
from streams.topology.model import Topology
from tests.unit.topology.clusters import DEFAULTS, EMPTY, applied, plan_for

WORDS = st.sampled_from(
    [
        *("version", "topics", "contracts", "routers", "source", "stage", "mode", "routes", "name", "conditions"),
        *("field", "operator", "value", "all", "any", "not", "destinations", "queue", "topic", "subscription"),
        *("partitions", "retention", "failures", "calls", "sagas", "steps", "order", "in", "equals", "key"),
        *("1", "7d", "payload.a", "first", "${X:-y}", "${X", "true", "null"),
    ]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)


def check(text: str) -> None:
    with suppress(FindingsFound):
        topology = parse_topology(text, "t.yaml", {})
        assert isinstance(topology, Topology)
        lint(topology, set())


@given(st.text())
def test_any_text_is_a_topology_or_findings(text: str) -> None:
    check(text)


@given(st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \n\tab1~.${}"))
def test_any_yaml_like_text_is_a_topology_or_findings(text: str) -> None:
    check(text)


@given(TREES)
@settings(max_examples=300)
def test_any_tree_is_a_topology_or_findings(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True))


@given(st.binary())
def test_any_bytes_are_a_topology_or_findings(content: bytes) -> None:
    with suppress(FindingsFound):
        parse_topology(content, "t.yaml", {})


@given(st.dictionaries(st.sampled_from(["version", "topics", "routers"]), TREES))
def test_every_finding_is_one_line_with_a_position(tree: object) -> None:
    try:
        parse_topology(yaml.safe_dump(tree, allow_unicode=True), "t.yaml", {})
    except FindingsFound as error:
        for line in str(error).split("\n"):
            name, row, column, message = line.split(":", 3)
            assert name == "t.yaml"
            assert int(row) >= 1
            assert int(column) >= 1
            assert len(message.splitlines()) == 1


NAMES = ["in", "out", "queue", "spare"]

TOPIC = st.fixed_dictionaries(
    {
        "partitions": st.integers(1, 5),
        "retention": st.sampled_from([None, "1d", "40d"]),
        "max_message_bytes": st.sampled_from([None, 10, 10**7]),
        "replication": st.sampled_from([None, 1, 3]),
    }
)
PROTOCOLS: list[Literal["classic", "consumer"]] = ["classic", "consumer"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    topics = {name: {key: value for key, value in draw(TOPIC).items() if value is not None} for name in NAMES}
    destinations = [{"queue": "queue"}, {"topic": "out", "subscription": "s"}, {"topic": "spare"}]
    route = {"name": "r", "destinations": draw(st.lists(st.sampled_from(destinations), min_size=1, unique_by=str))}
    return yaml.safe_dump({"version": 1, "topics": topics, "routers": [{"source": "in", "routes": [route]}]})


@st.composite
def stages(draw: st.DrawFn) -> tuple[StageSpec, ...]:
    tables = tuple(TableSpec(name) for name in draw(st.sets(st.sampled_from(["a", "b"]))))
    sources = draw(st.sampled_from([("in",), ("in", "headrace.router.redrive")]))
    protocol = draw(st.sampled_from(PROTOCOLS))
    return (StageSpec("router", sources, tables, group_protocol=protocol),)


@st.composite
def clusters(draw: st.DrawFn) -> ClusterState:
    names = [*NAMES, "headrace.router.dlq", "headrace.router.a.changelog", "theirs"]
    configs = st.fixed_dictionaries(
        {
            "retention.ms": st.sampled_from(["-1", "1000", "604800000"]),
            "max.message.bytes": st.sampled_from(["100", "1048588", "9000000"]),
            "cleanup.policy": st.sampled_from(["delete", "compact", "compact,delete"]),
        }
    )
    topics = st.dictionaries(
        st.sampled_from(names), st.builds(TopicState, st.integers(1, 5), st.integers(1, 3), configs)
    )
    groups = st.dictionaries(
        st.sampled_from(["headrace.router", "queue", "out.s"]),
        st.frozensets(st.tuples(st.sampled_from(NAMES), st.integers(0, 4))),
    )
    return ClusterState(brokers=draw(st.integers(1, 5)), defaults=DEFAULTS, topics=draw(topics), groups=draw(groups))


@given(texts(), stages(), clusters())
@settings(max_examples=300)
def test_after_applying_a_plan_nothing_is_left_to_do(
    text: str, specs: tuple[StageSpec, ...], cluster: ClusterState
) -> None:
    plan = plan_for(text, cluster, specs)
    if plan.refused:
        return
    assert plan_for(text, applied(plan, cluster), specs).changes == ()


@given(texts(), stages(), clusters())
def test_a_plan_never_touches_an_offset_that_is_there(
    text: str, specs: tuple[StageSpec, ...], cluster: ClusterState
) -> None:
    for change in plan_for(text, cluster, specs).changes:
        if isinstance(change, PresetOffsets):
            has = cluster.groups.get(change.group, frozenset())
            assert not has & {(change.topic, partition) for partition in change.partitions}


@given(texts(), stages(), clusters())
def test_a_plan_only_names_what_is_ours(text: str, specs: tuple[StageSpec, ...], cluster: ClusterState) -> None:
    assert "theirs" not in {change.target for change in plan_for(text, cluster, specs).changes}


@given(texts(), stages())
def test_on_an_empty_cluster_nothing_is_refused_or_lost(text: str, specs: tuple[StageSpec, ...]) -> None:
    plan = plan_for(text, replace(EMPTY, brokers=3), specs)
    assert not plan.refused
    assert not any(change.destructive for change in plan.changes)
