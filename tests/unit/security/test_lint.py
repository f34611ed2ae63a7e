"""Grants name stages that exist and that can decrypt."""

from streams.security.lint import lint
from streams.topology.loading import parse_topology

TOPOLOGY = """version: 1
topics: {in: {partitions: 1}, out: {partitions: 1}}
routers: [{source: in, routes: [{name: r, destinations: [{topic: out}]}]}]
transformations: [{source: in, to: order, destination: out, stage: convert}]
projections: [{name: summary, class: "a:B", sources: [in]}]
stages: {own: {}}
security:
  decrypt:
    STAGE: [order]
"""


def findings(stage: str) -> list[str]:
    topology = parse_topology(TOPOLOGY.replace("STAGE", stage), "t.yaml", {})
    return [finding.render("t").removeprefix("t:") for finding in lint(topology)]


def test_stages_that_may_decrypt() -> None:
    for stage in ("convert", "projections.summary", "own", "deadletters"):
        assert findings(stage) == []


def test_a_router_cannot_decrypt() -> None:
    assert findings("router") == [
        "9:5: stage 'router' may decrypt; it routes, and a router passes messages through as they are; remove the grant"
    ]


def test_a_stage_that_is_not_there() -> None:
    assert findings("transformer")[0].startswith("9:5: no stage 'transformer'; ")
    assert findings("convrt")[0].endswith("did you mean 'convert'?")
