"""Implementation details in a contract are guessed from its names, docs and defaults."""

from typing import Any

import pytest

from streams.messages.contracts import contract_from
from streams.messages.leaks import leaks


def found_in(**field: Any) -> list[str]:
    fields = [{"name": "plain", "type": "string", **field}]
    return [leak.looks_like for leak in leaks(contract_from({"type": "record", "name": "order", "fields": fields}))]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"doc": "SELECT id FROM orders WHERE id = ?"}, "SQL"),
        ({"default": "select * from customers"}, "SQL"),
        ({"name": "sql_statement"}, "SQL"),
        ({"doc": "jdbc:oracle:thin:@db:1521/x"}, "a connection string"),
        ({"default": "postgresql://app:secret@db/orders"}, "a connection string"),
        ({"name": "dbUrl"}, "a connection string"),
        ({"doc": "written by erp01.corp"}, "a host name"),
        ({"default": "10.1.2.3"}, "a host name"),
        ({"name": "host_name"}, "a host name"),
    ],
)
def test_a_detail_is_found(field: dict[str, Any], expected: str) -> None:
    assert expected in found_in(**field)


@pytest.mark.parametrize(
    "field",
    [
        {"doc": "What the customer selected from the menu."},
        {"doc": "The host of the party; update it before it is set in stone."},
        {"doc": "Version 1.2 of the price list, see section 3.4.5"},
        {"name": "customer_id"},
        {"name": "ghost"},
        {"default": "EUR"},
    ],
)
def test_plain_words_are_not(field: dict[str, Any]) -> None:
    assert found_in(**field) == []


def test_the_place_is_named() -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "db_host", "type": "string"}]}
    fields = [{"name": "lines", "type": {"type": "array", "items": line}}]
    contract = contract_from({"type": "record", "name": "order", "fields": fields})
    assert [leak.line() for leak in leaks(contract)] == [
        "order.lines[].db_host: 'db_host' looks like a host name; a message should not name what is behind it"
    ]
