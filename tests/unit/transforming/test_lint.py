"""Transformations that could not work are refused before a message comes, each at its place."""

from typing import Any

import pytest

from streams.errors import UnsupportedTransformation, UsageError
from streams.messages.contracts import contract_from
from streams.transforming.conversions import Conversions, conversions_of, described_paths
from streams.transforming.converters import Converters, UnknownFormat
from streams.transforming.formats import compile_format
from streams.transforming.lint import lint
from tests.unit.transforming.partners import (
    MAPPING,
    TO_ORDER,
    contracts,
    conversions,
    record_of,
    shop_converters,
    topology,
)

AGGREGATE = "aggregates: [{name: sales, class: 'shop:Sale', id: payload.id, partitions: 4}]\n"
ONE = "transformations:\n- {source: both, from: v2, to: order, destination: orders%s}\n"


def findings(text: str, converters: Converters | None = None) -> list[str]:
    loaded = topology(text)
    found = conversions_of(loaded, contracts(), shop_converters() if converters is None else converters)
    return [each.message for each in lint(loaded, found)]


def test_what_can_be_converted_has_no_findings() -> None:
    assert findings(MAPPING + TO_ORDER) == []
    assert findings(ONE % "") == []
    assert findings("transformations: [{source: lines, to: order, destination: orders}]") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TO_ORDER, "no converters lead from v1 to order; from v1 they lead to nothing; add a mapping or register"),
        (ONE % ", stage: sagas", "other kinds of stages have that name"),
        ("transformations: [{source: both, from: v9, to: order, destination: orders}]", "no format 'v9'; formats are"),
        ("transformations: [{source: both, from: v1, to: order, destination: orders}]", "carries v2, refund, not v1"),
        ("transformations: [{source: both, from: v2, to: ordr, destination: orders}]", "did you mean 'order'?"),
        ("transformations: [{source: both, from: v2, to: order, destination: both}]", "messages would circle"),
        ("transformations: [{source: both, from: v2, to: order, destination: refunds}]", "carries refund, not order"),
        ("transformations: [{source: both, from: v2, to: order, destination: lines}]", "Headrace writes Avro"),
        (
            "transformations: [{source: sales.events, to: order, destination: orders}]\n" + AGGREGATE,
            "messages of any type",
        ),
        (
            ONE % "" + "- {source: both, from: refund, to: order, destination: orders, stage: sales}\n" + AGGREGATE,
            "other kinds",
        ),
        ((ONE % "") + "- {source: both, from: v2, to: order, destination: orders}\n", "messages would double"),
        ("mappings: [{from: v1, to: v9, fields: {a: {constant: b}}}]", "no format 'v9'"),
        ("mappings: [{from: v1, to: v1, fields: {ref: {from: ref}}}]", "from v1 to itself"),
        ("mappings: [{from: v2, to: order, fields: {order_id: {from: ref}}}]", "a second converter from v2 to order"),
        ("mappings: [{from: v1, to: order, fields: {order_id: {from: rf}}}]", "did you mean 'ref'?"),
    ],
)
def test_what_cannot_work_is_found(text: str, said: str) -> None:
    assert any(said in message for message in findings(text)), findings(text)


def test_sources_of_one_stage_have_one_partition_count() -> None:
    loaded = topology(MAPPING + TO_ORDER.replace("}]", "}, {source: few, from: v2, to: order, destination: orders}]"))
    few = topology("").topics["both"]
    changed = type(few)(name="few", partitions=2, contracts=("v2",))
    text = [each.message for each in lint(_with_topic(loaded, changed), conversions(MAPPING + TO_ORDER))]
    what = "'few' has 2 partitions, 'in' has 4; sources of stage 'transformer' move together"
    assert text == [f"{what}; make them equal or name another stage"]


def _with_topic(loaded: Any, topic: Any) -> Any:
    return type(loaded)(
        version=1,
        topics={**loaded.topics, topic.name: topic},
        transformations=loaded.transformations,
        contracts=loaded.contracts,
    )


def test_a_key_that_the_target_lacks_is_found() -> None:
    wrong = topology(ONE % "")
    changed = topology(ONE % "").contracts["order"]
    settings = {"order": type(changed)(name="order", key="payload.orderid")}
    loaded = type(wrong)(version=1, topics=wrong.topics, transformations=wrong.transformations, contracts=settings)
    assert [each.message for each in lint(loaded, conversions(""))] == [
        "no field 'payload.orderid' in order; it has order_id, total, pieces, note"
    ]


def test_a_converter_whose_contracts_are_not_here_is_left_out_and_named_where_it_is_missed() -> None:
    converters = Converters()
    converters.register("v1", "nowhere")(dict)
    (message, *_) = findings(TO_ORDER, converters)
    assert "left out: v1 -> nowhere of builtins.dict, as there is no contract 'nowhere'" in message


def test_a_second_converter_of_one_pair_is_refused_at_once() -> None:
    converters = shop_converters()
    with pytest.raises(UsageError, match=r"v2 -> order: builtins\.dict is a second one after"):
        converters.register("v2", "order")(dict)
    with pytest.raises(UsageError, match="expected a cost of at least 1, got 0"):
        converters.register("v1", "order", cost=0)


def test_a_missing_path_says_where_one_leads_instead() -> None:
    found: Conversions = conversions(MAPPING)
    with pytest.raises(UnsupportedTransformation, match="from v1 they lead to order, v2; add a mapping"):
        found.path(contracts()["v1"], contracts()["refund"])


def test_paths_are_shown_also_of_a_topology_with_mistakes() -> None:
    loaded = topology(TO_ORDER)
    found = conversions(TO_ORDER)
    assert described_paths(loaded.transformations[0], loaded, found) == ["v1 -> order: no path", "v2 -> order (cost 1)"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (record_of("fixed_width", {"a": "string"}), "nothing says how fixed_width is written"),
        (record_of("a", {"a": "string"}, encoding="xml"), "encoding 'xml' of a; expected csv or json"),
        (record_of("csv_a", {"a": {"type": "array", "items": "int"}}), "a is array; a cell holds a single value"),
        (record_of("csv_a", {"a": ["int", "string"]}), "a has several types"),
        (record_of("csv_a", {"a": "string"}, delimiter="||"), "'||' is no single character"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownFormat) as caught:
        compile_format(contract_from(schema), {})
    assert said in str(caught.value)
