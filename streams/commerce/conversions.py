"""How what partners send becomes an order: the conversions that no mapping in topology.yaml can say."""

from decimal import Decimal
from typing import Any

from streams.transforming.converters import Converters

converters = Converters()

_HOME = "DE"
_CENT = Decimal("0.01")


@converters.register("partner_order_v2", "order")
def partner_order_to_order(partner: dict[str, Any]) -> dict[str, Any]:
    """A partner sells every piece of an order at one price, so the total says it."""
    pieces = sum(line["quantity"] for line in partner["lines"])
    unit_price = (partner["total"] / pieces).quantize(_CENT) if pieces else partner["total"]
    return {
        "order_id": partner["order_ref"],
        "customer_id": partner["buyer"],
        "total_amount": partner["total"],
        "currency": partner["currency"],
        "country": partner["country"] or _HOME,
        "lines": [
            {"sku": line["sku"], "quantity": line["quantity"], "unit_price": unit_price} for line in partner["lines"]
        ],
        "note": None,
    }


@converters.register("csv_order_line", "order")
def line_to_order(line: dict[str, Any]) -> dict[str, Any]:
    """A line that stands alone is an order of one line."""
    return {
        "order_id": line["order_id"],
        "customer_id": line["customer_id"],
        "total_amount": line["quantity"] * line["unit_price"],
        "currency": line["currency"],
        "country": line["country"],
        "lines": [{"sku": line["sku"], "quantity": line["quantity"], "unit_price": line["unit_price"]}],
        "note": None,
    }
