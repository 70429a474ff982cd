"""The bill of a client's day: the contract note, and what the ledger is debited beside it.

What is sold out of what was bought on the same day is intraday, whatever product the orders named;
only the rest of a share is delivery (Zerodha's support page on STT, and its answers to clients who
sold ``CNC`` purchases on the same day). Intraday orders are matched first, then the oldest. A
share's transaction tax is charged on the average price of all its trades of the day at that
exchange. An order is charged brokerage once, at most its cap.

A note has a column for each exchange segment, and each figure of a column is rounded: transaction
tax to whole rupees (50 paise up), stamp duty down to paise (so do the notes that were found), the
others to the nearest paisa; GST is that of the rounded figures. Depository fees (once for a share
and day on which holdings were sold) and square-off fees are not on the note but in the client's
ledger of that day, with GST (Zerodha's and Fyers' support pages).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from sandbox.charge_rates import (
    GST,
    Kind,
    Tariff,
    in_force,
    transaction_tax_rates,
)
from sandbox.charges import Charges, brokerage, charges_of, venue_of

__all__ = ["Bill", "Executed", "bill_of"]

_NONE = Decimal(0)
_RUPEE, _PAISA = Decimal(1), Decimal("0.01")
_INTRADAY_PRODUCT = "MIS"


@dataclass(frozen=True)
class Executed:
    """What an order traded on a day.

    Attributes:
        segment: Exchange segment: ``NSE``, ``BSE``, ``NFO`` or ``BFO``.
        isin: Of a share; empty for a derivative.
        kind: As its product says; sale and purchase of a share on a day are matched later.
        is_square_off: The broker's risk management placed it.
    """

    order_id: str
    segment: str
    symbol: str
    isin: str
    product: str
    kind: Kind
    side: str
    quantity: int
    value: Decimal
    is_square_off: bool = False


@dataclass(frozen=True)
class Bill:
    """What a client was charged for a day; ``segments`` are the columns of the contract note."""

    day: date
    segments: dict[str, Charges] = field(default_factory=dict)
    depository: Decimal = _NONE
    square_off: Decimal = _NONE

    @property
    def note_total(self) -> Decimal:
        """The charges on the contract note."""
        return sum((column.total for column in self.segments.values()), _NONE)

    @property
    def total(self) -> Decimal:
        """Everything that the day costs."""
        return self.note_total + self.depository + self.square_off


def bill_of(tariff: Tariff, day: date, orders: Sequence[Executed]) -> Bill:
    """Return the bill of a day.

    Args:
        tariff: The broker's.
        day: The trading day, whose rates hold.
        orders: Everything that the client traded on it, oldest first.
    """
    columns: dict[str, Charges] = {}
    delivered: set[str] = set()
    for (segment, _symbol), traded in _by_security(orders).items():
        exact = _security(tariff, day, traded)
        columns[segment] = columns.get(segment, Charges()) + exact
        if _delivers(traded):
            delivered.add(traded[0].isin)
    closings = sum(order.is_square_off for order in orders)
    return Bill(
        day,
        {segment: _rounded(column) for segment, column in columns.items()},
        depository=_with_gst(in_force(tariff.depository, day)) * len(delivered),
        square_off=_with_gst(in_force(tariff.square_off, day)) * closings,
    )


def _by_security(orders: Iterable[Executed]) -> dict[tuple[str, str], list[Executed]]:
    found: dict[tuple[str, str], list[Executed]] = {}
    for order in orders:
        found.setdefault((order.segment, order.symbol), []).append(order)
    return found


def _security(tariff: Tariff, day: date, orders: list[Executed]) -> Charges:
    """Return the exact charges of all that was traded in one security at one exchange."""
    total, tax = Charges(), _NONE
    for order, values in _split(orders):
        parts = [
            charges_of(
                tariff,
                day,
                venue=venue_of(order.segment),
                kind=kind,
                side=order.side,
                value=value,
            )
            for kind, value in values.items()
        ]
        once = brokerage(dict(in_force(tariff.brokerage, day)), values)
        total += replace(sum(parts, Charges()), brokerage=once, gst=_NONE)
        tax += sum((part.transaction_tax for part in parts), _NONE)
    if orders[0].kind in {Kind.INTRADAY, Kind.DELIVERY}:
        tax = _tax_of_share(day, orders)
    return replace(total, transaction_tax=tax)


def _quantity(orders: Iterable[Executed], side: str) -> int:
    return sum(order.quantity for order in orders if order.side == side)


def _split(orders: list[Executed]) -> list[tuple[Executed, dict[Kind, Decimal]]]:
    """Return the value of each order by kind: what the other side matches is intraday."""
    if orders[0].kind not in {Kind.INTRADAY, Kind.DELIVERY}:
        return [(order, {order.kind: order.value}) for order in orders]
    matched = min(_quantity(orders, "BUY"), _quantity(orders, "SELL"))
    left = {"BUY": matched, "SELL": matched}
    found = []
    for order in sorted(orders, key=lambda order: order.product != _INTRADAY_PRODUCT):
        part = min(order.quantity, left[order.side])
        left[order.side] -= part
        value = order.value * part / order.quantity
        found.append((order, {Kind.INTRADAY: value, Kind.DELIVERY: order.value - value}))
    return found


def _tax_of_share(day: date, orders: list[Executed]) -> Decimal:
    bought, sold = _quantity(orders, "BUY"), _quantity(orders, "SELL")
    average = sum((order.value for order in orders), _NONE) / (bought + sold)
    of_delivery = transaction_tax_rates(Kind.DELIVERY, day)[bought < sold]
    of_sale = transaction_tax_rates(Kind.INTRADAY, day)[1]
    return average * (min(bought, sold) * of_sale + abs(bought - sold) * of_delivery)


def _delivers(orders: list[Executed]) -> bool:
    """Return whether shares left the client's depository account."""
    is_sold = _quantity(orders, "SELL") > _quantity(orders, "BUY")
    return is_sold and any(order.kind is Kind.DELIVERY for order in orders if order.side == "SELL")


def _rounded(exact: Charges) -> Charges:
    column = Charges(
        transaction_tax=exact.transaction_tax.quantize(_RUPEE, ROUND_HALF_UP),
        exchange=_paise(exact.exchange),
        protection_fund=_paise(exact.protection_fund),
        clearing=_paise(exact.clearing),
        sebi=_paise(exact.sebi),
        brokerage=_paise(exact.brokerage),
        stamp_duty=exact.stamp_duty.quantize(_PAISA, ROUND_DOWN),
    )
    return replace(column, gst=_paise(column.taxable * GST))


def _paise(amount: Decimal) -> Decimal:
    return amount.quantize(_PAISA, ROUND_HALF_UP)


def _with_gst(fee: Decimal) -> Decimal:
    return _paise(fee * (1 + GST))
