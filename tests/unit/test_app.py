"""The composition root: what the file says of stages holds for routers and for the domain's stages alike."""

from types import ModuleType

import pytest

from streams.app import stage_specs
from streams.engine.stage import StageSpec
from streams.topology.loading import parse_topology
from streams.topology.model import Topology

ROUTER = "routers: [{source: in, routes: [{name: all, destinations: [{queue: out}]}]}]"


def topology(stages: str) -> Topology:
    text = f"version: 1\ntopics: {{in: {{partitions: 2}}, out: {{partitions: 2}}}}\n{ROUTER}\n{stages}"
    return parse_topology(text, "topology.yaml", {})


def domain_with(*specs: StageSpec) -> ModuleType:
    module = ModuleType("domain")
    vars(module)["stage_specs"] = lambda _topology: specs
    return module


def memberships(stages: str, *specs: StageSpec) -> dict[str, tuple[str, bool]]:
    found = stage_specs(topology(stages), domain_with(*specs))
    return {spec.name: (spec.group_protocol, spec.static_membership) for spec in found}


def test_stages_are_classic_and_dynamic_unless_said() -> None:
    assert memberships("", StageSpec("counting", ("in",))) == {
        "router": ("classic", False),
        "counting": ("classic", False),
        "deadletters": ("classic", False),
    }


@pytest.mark.parametrize("stage", ["router", "counting"])
@pytest.mark.parametrize(
    ("settings", "membership"),
    [
        ("{group_protocol: consumer}", ("consumer", False)),
        ("{static_membership: true}", ("classic", True)),
    ],
)
def test_the_file_says_how_a_stage_is_in_its_group(stage: str, settings: str, membership: tuple[str, bool]) -> None:
    found = memberships(f"stages: {{{stage}: {settings}}}", StageSpec("counting", ("in",)))
    assert found.pop(stage) == membership
    assert set(found.values()) == {("classic", False)}


def test_what_a_domain_declares_holds_where_the_file_says_nothing() -> None:
    declared = StageSpec("counting", ("in",), group_protocol="consumer")
    assert memberships("", declared)["counting"] == ("consumer", False)
    assert memberships("stages: {counting: {}}", declared)["counting"] == ("classic", False)


def test_the_letters_of_all_stages_have_one_stage_which_the_file_sets_like_any_other() -> None:
    *_, letters = stage_specs(
        topology("stages: {deadletters: {static_membership: true}}"), domain_with(StageSpec("counting", ("in",)))
    )
    assert letters.name == "deadletters"
    assert letters.sources == ("headrace.deadletters.redrive", "headrace.counting.dlq", "headrace.router.dlq")
    assert "headrace.router.redrive" in letters.destinations
    assert "headrace.counting.redrive" not in letters.destinations, "a stage without retries takes no letter back"
    assert letters.static_membership


def test_without_a_stage_there_are_no_letters() -> None:
    assert stage_specs(parse_topology("version: 1", "topology.yaml", {})) == []
