"""`headrace transform explain` and the picture of transformations, on the example topology; no broker is asked."""

import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from streams import app
from streams.cli import headrace
from streams.errors import UnsupportedTransformation, UsageError

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> Result:
    files = {"HEADRACE_TOPOLOGY": str(ROOT / "topology.yaml"), "HEADRACE_SCHEMAS": str(ROOT / "schemas")}
    return CliRunner().invoke(headrace, list(arguments), env=files)


def test_a_path_is_shown_hop_by_hop() -> None:
    lines = run("transform", "explain", "partner_order_v1", "order").output.splitlines()
    assert lines[0] == "partner_order_v1 -> partner_order_v2 -> order (cost 2)"
    assert [line.split()[:4] for line in lines[2:]] == [
        ["1", "partner_order_v1", "partner_order_v2", "1"],
        ["2", "partner_order_v2", "order", "1"],
    ]


def test_json_names_each_hops_converter() -> None:
    (hop,) = json.loads(run("transform", "explain", "csv_order_line", "order", "--output", "json").output)
    assert hop == {
        "hop": 1,
        "from": "csv_order_line",
        "to": "order",
        "cost": 1,
        "converter": "streams.commerce.conversions.line_to_order",
        "runs": "sync",
    }


def test_a_format_needs_no_hop_to_itself() -> None:
    assert run("transform", "explain", "order", "commerce.order").output == "order as it is\n"


def test_a_missing_path_and_an_unknown_format_are_told_apart() -> None:
    assert isinstance(run("transform", "explain", "order", "order_line").exception, UnsupportedTransformation)
    assert isinstance(run("transform", "explain", "order", "ordr").exception, UsageError)
    assert (UnsupportedTransformation.exit_code, UsageError.exit_code) == (1, 2)


def test_the_picture_shows_the_path_of_each_type() -> None:
    drawn = run("topology", "graph").output
    assert '|"partner_order_v1 → partner_order_v2 → order (cost 2)"|' in drawn
    assert '|"partner_order_v2 → order (cost 1)"|' in drawn
    assert '|"csv_order_line → order (cost 1)"|' in drawn


def test_converters_of_a_domain_have_to_be_converters() -> None:
    domain = ModuleType("shop")
    assert list(app.converters_of(domain)) == list(app.converters_of(None)) == []
    domain.converters = ["to_order"]  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"shop\.converters: expected Converters\(\) of .*, got list"):
        app.converters_of(domain)
