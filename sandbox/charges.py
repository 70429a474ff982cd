"""The charges of one order, exact to the last digit; the day's bill is in ``contract_note``.

GST is charged on brokerage, exchange, clearing and SEBI fees, not on the protection fund: so do the
three orders of Kite's published contract note add up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from typing import Self

from sandbox.charge_rates import (
    GST,
    Fee,
    Kind,
    Tariff,
    exchange_rate,
    in_force,
    protection_fund_rate,
    sebi_rate,
    stamp_duty_rate,
    transaction_tax_rates,
)
from sandbox.instruments import Instrument

__all__ = ["Charges", "brokerage", "charges_of", "kind_of", "venue_of"]

_NONE = Decimal(0)
_VENUES = {"NFO": "NSE", "BFO": "BSE"}


def venue_of(exchange: str) -> str:
    """Return the exchange that a segment belongs to: NSE of NFO."""
    return _VENUES.get(exchange, exchange)


def kind_of(instrument: Instrument, product: str) -> Kind:
    """Return how an order is charged, by its product alone."""
    if instrument.expiry is not None:
        return Kind.FUTURE
    return Kind.INTRADAY if product == "MIS" else Kind.DELIVERY


@dataclass(frozen=True)
class Charges:
    """What was charged, in rupees.

    Attributes:
        transaction_tax: Securities transaction tax.
        exchange: The exchange's transaction charge ...
        protection_fund: ... and its investor protection fund.
        clearing: The clearing member's charge.
    """

    transaction_tax: Decimal = _NONE
    exchange: Decimal = _NONE
    protection_fund: Decimal = _NONE
    clearing: Decimal = _NONE
    sebi: Decimal = _NONE
    brokerage: Decimal = _NONE
    stamp_duty: Decimal = _NONE
    gst: Decimal = _NONE

    @property
    def taxable(self) -> Decimal:
        """What GST is charged on."""
        return self.brokerage + self.exchange + self.clearing + self.sebi

    @property
    def total(self) -> Decimal:
        """The sum."""
        return sum((getattr(self, item.name) for item in fields(self)), _NONE)

    def __add__(self, other: Self) -> Self:
        """Return both together."""
        names = [item.name for item in fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return replace(self, **sums)


def brokerage(fees: dict[Kind, Fee], values: dict[Kind, Decimal]) -> Decimal:
    """Return the brokerage of one executed order whose value is of one or two kinds."""
    shares, cap = _NONE, _NONE
    for kind, value in values.items():
        fee = fees[kind]
        if value:
            shares += fee.cap if fee.share is None else value * fee.share
            cap = max(cap, fee.cap)
    return min(shares, cap)


def charges_of(
    tariff: Tariff, day: date, *, venue: str, kind: Kind, side: str, value: Decimal
) -> Charges:
    """Return the charges of an order of one kind that is worth a value.

    Args:
        tariff: The broker's.
        day: Whose rates hold.
        venue: ``NSE`` or ``BSE``.
        kind: How it is charged.
        side: ``BUY`` or ``SELL``.
        value: Quantity times price; of an option the premium.
    """
    is_buy = side == "BUY"
    on_purchase, on_sale = transaction_tax_rates(kind, day)
    before_gst = Charges(
        transaction_tax=value * (on_purchase if is_buy else on_sale),
        exchange=value * exchange_rate(venue, kind, day),
        protection_fund=value * protection_fund_rate(venue, kind, day),
        clearing=value * in_force(tariff.clearing, day).get(kind, _NONE),
        sebi=value * sebi_rate(day),
        brokerage=brokerage(dict(in_force(tariff.brokerage, day)), {kind: value}),
        stamp_duty=value * stamp_duty_rate(kind) if is_buy else _NONE,
    )
    return replace(before_gst, gst=before_gst.taxable * GST)
