"""Executions, and what each is to the taxman: delivery, intraday, future or option.

The kind follows from the exchange, the symbol and the product:

* NSE and BSE with MIS are intraday.
* NSE and BSE with CNC are delivery, but for the units that were bought and sold on the same day at
  the same exchange: those are intraday, as both brokers treat them (support.zerodha.com, How is the
  STT calculated; support.fyers.in, Same-day equity delivery square-off).
* NFO and BFO are futures when the symbol ends with ``FUT``, options when it ends with ``CE`` or
  ``PE``; the product plays no part.

Anything else is of no kind, and its charges are unknown. Units of funds (ETFs) cannot be told from
shares by their names, and are charged like these: their tax is lower, so that the estimate is too
high for them. Options that are exercised at expiry make no execution and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.domain.broker import BrokerTrade
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order, Side

__all__ = [
    "Execution",
    "Kind",
    "closing_execution",
    "executions_of_orders",
    "executions_of_trades",
    "kind_of",
]

_CASH = frozenset({"NSE", "BSE"})
_DERIVATIVES = frozenset({"NFO", "BFO"})


class Kind(StrEnum):
    """What an execution is charged as."""

    DELIVERY = "delivery"
    INTRADAY = "intraday"
    FUTURE = "future"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Execution:
    """Units that were bought or sold at a price, by one order.

    Attributes:
        order_id: Brokerage is charged once for an order, however many executions it had.
    """

    order_id: str
    instrument: InstrumentId
    product: Product
    side: Side
    quantity: int
    price: Decimal

    @property
    def value(self) -> Decimal:
        """Rupees that changed hands."""
        return self.quantity * self.price


def kind_of(instrument: InstrumentId, product: Product) -> Kind | None:
    """Return what an execution is charged as; None when that is not known.

    CNC is delivery here; what of it is intraday depends on the day's other executions.
    """
    if instrument.exchange in _CASH:
        return {Product.CNC: Kind.DELIVERY, Product.MIS: Kind.INTRADAY}.get(product)
    if instrument.exchange in _DERIVATIVES:
        if instrument.symbol.endswith("FUT"):
            return Kind.FUTURE
        if instrument.symbol.endswith(("CE", "PE")):
            return Kind.OPTION
    return None


def executions_of_trades(trades: Iterable[BrokerTrade]) -> Iterator[Execution]:
    """Yield a broker's trades as executions."""
    for one in trades:
        yield Execution(
            one.broker_order_id, one.instrument, one.product, one.side, one.quantity, one.price
        )


def executions_of_orders(orders: Iterable[Order]) -> Iterator[Execution]:
    """Yield what orders of the journal have filled, an execution for each order."""
    for one in orders:
        if one.filled_quantity:
            request = one.request
            yield Execution(
                one.client_order_id,
                request.instrument,
                request.product,
                request.side,
                one.filled_quantity,
                one.average_price,
            )


def closing_execution(
    instrument: InstrumentId, product: Product, held: int, price: Decimal
) -> Execution:
    """Return what would close ``held`` signed units at a price, in one order."""
    side = Side.of(-held)
    return Execution(f"close {instrument} {product}", instrument, product, side, abs(held), price)
