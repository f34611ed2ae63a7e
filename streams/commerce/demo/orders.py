"""Made-up orders: pure functions of a random source, about 230 bytes each in Avro."""

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import TypedDict

# Distinct orders: each is sent about twenty times in a full run, so that the order of a key can break.
KEYS = 5_000
_CUSTOMERS = 800
_PLACES = (("EUR", "DE"), ("EUR", "FR"), ("EUR", "IT"), ("SEK", "SE"), ("PLN", "PL"), ("GBP", "GB"))
_PHRASES = (
    "please leave it with the neighbour",
    "ring twice",
    "second floor, door on the left",
    "fragile: handle with care",
    "gift wrap, no invoice inside",
    "call before delivery",
    "office hours only",
    "Grüße aus Köln",
)
# On both sides of the threshold of topology.yaml's `critical_orders`, where an off-by-one would show.
_EDGES = (Decimal("999.99"), Decimal("1000.00"), Decimal("1000.01"))
_EDGE_EVERY = 25


class Line(TypedDict):
    """One line of an order."""

    sku: str
    quantity: int
    unit_price: Decimal


class Order(TypedDict):
    """Payload of contract `order`."""

    order_id: str
    customer_id: str
    total_amount: Decimal
    currency: str
    country: str
    lines: list[Line]
    note: str | None


@dataclass(frozen=True, slots=True)
class Draw:
    """Draws orders from a random source."""

    random: Random

    def order(self) -> Order:
        """An order; one in twenty-five costs as much as the routing threshold, give or take a cent."""
        lines = [self.line() for _ in range(self.random.randint(1, 4))]
        if self.random.randrange(_EDGE_EVERY) == 0:
            lines = [self._line_at(self.random.choice(_EDGES))]
        note = "; ".join(self.random.choices(_PHRASES, k=self.random.randint(4, 8)))
        return self._order(lines, note)

    def costly_order(self, note: str) -> Order:
        """An order of more than 1,000 with a given note."""
        return self._order([self._line_at(Decimal("1500.00"))], note)

    def line(self) -> Line:
        """A line of an order."""
        cents = self.random.randrange(100, 50_000)
        return Line(sku=self._sku(), quantity=self.random.randint(1, 4), unit_price=Decimal(cents).scaleb(-2))

    def _line_at(self, price: Decimal) -> Line:
        return Line(sku=self._sku(), quantity=1, unit_price=price)

    def _sku(self) -> str:
        return f"SKU-{self.random.randrange(100_000):05d}"

    def _order(self, lines: list[Line], note: str) -> Order:
        currency, country = self.random.choice(_PLACES)
        return Order(
            order_id=f"ORD-{self.random.randrange(KEYS):05d}",
            customer_id=f"C-{self.random.randrange(_CUSTOMERS):04d}",
            total_amount=sum((line["quantity"] * line["unit_price"] for line in lines), Decimal(0)),
            currency=currency,
            country=country,
            lines=lines,
            note=note,
        )
