"""Fields by name: what a list's items and their whole make, and what a group makes, proven against both contracts."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages.contracts import Contract, contract_from
from streams.patterns.by_name import Mistake, compile_gathering, compile_split, gathered
from tests.unit.patterns.shop import LINES, ORDER, contracts
from tests.unit.transforming.partners import list_of, record_of

SHOP = contracts()


def contract(name: str, fields: dict[str, Any]) -> Contract:
    return contract_from(record_of(name, fields))


def test_an_item_brings_its_fields_the_whole_the_others_and_its_place_is_counted() -> None:
    split = compile_split(SHOP["order"], "payload.lines", SHOP["order_line"])
    assert split(ORDER) == [
        {"order_id": "ORD-1", "line_number": n, "line_count": 2, "buyer": "Ada", **line}
        for n, line in enumerate(LINES, 1)
    ]
    assert split({**ORDER, "lines": []}) == []


def test_items_that_are_no_records_are_called_as_their_list_in_the_singular() -> None:
    split = compile_split(SHOP["order"], "payload.tags", SHOP["order_tag"])
    assert split(ORDER) == [{"order_id": "ORD-1", "tag": "gift"}, {"order_id": "ORD-1", "tag": "fast"}]


@pytest.mark.parametrize(
    ("items", "fields", "said"),
    [
        ("payload.line", {"sku": "string"}, "order has no list payload.line"),
        ("payload.order_id", {"sku": "string"}, "order has no list payload.order_id"),
        ("payload.lines", {"color": "string"}, "nothing makes color, which target requires"),
        ("payload.lines", {"sku": "int"}, "sku: string is no int"),
        ("payload.lines", {"phone_number": "int"}, "nothing makes phone_number"),
        ("payload.lines", {"line_number": "string"}, "nothing makes line_number"),
        ("payload.tags", {"tag": "int"}, "tag: string is no int"),
    ],
)
def test_a_split_that_cannot_be_made_of_every_message_is_refused(items: str, fields: Any, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        compile_split(SHOP["order"], items, contract("target", fields))
    assert said in str(caught.value)


@given(st.permutations(range(5)))
def test_a_group_is_whole_again_whatever_order_its_messages_came_in(order: list[int]) -> None:
    lines = [{"sku": f"S{n}", "quantity": n, "price": Decimal(n)} for n in range(5)]
    whole = {**ORDER, "lines": lines, "tags": []}
    parts = compile_split(SHOP["order"], "payload.lines", SHOP["order_line"])(whole)
    gathering = compile_gathering(SHOP["order_line"], SHOP["order"])
    assert gathered([(gathering, parts[n]) for n in order]) == whole


def test_single_values_make_a_list_in_the_order_in_which_they_came() -> None:
    gathering = compile_gathering(SHOP["picked"], SHOP["pick_list"])
    messages = [(gathering, {"order_id": "O", "sku": sku, "last": False}) for sku in ("B", "A")]
    assert gathered(messages) == {"order_id": "O", "skus": ["B", "A"]}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"order_id": "string"}, "no list of target could be made of picked messages"),
        ({"skus": list_of("string"), "lasts": list_of("boolean")}, "skus and lasts each of target"),
        ({"skus": list_of("string"), "total": "int"}, "nothing makes total, which target requires"),
        ({"skus": list_of("string"), "order_id": "int"}, "order_id: string is no int"),
        ({"skus": list_of("int")}, "no list of target"),
    ],
)
def test_a_group_that_could_not_be_made_whole_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        compile_gathering(SHOP["picked"], contract("target", fields))
    assert said in str(caught.value)
