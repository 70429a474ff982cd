"""What the clients of the simulated brokers are charged, from their trades.

A day's bill is debited when the broker's day is over (05:10 of the next morning, with the purge):
then the opening balance is after charges, as it is the morning after a contract note. During the
day Kite's funds know nothing of charges: clients of Zerodha see them in the ledger of the evening
only, while the available cash still shows none. Fyers takes the charges of an order out of the
available balance when the order is placed, all but the transaction tax, and gives back what belongs
to an order that did not fill (its support page "why does FYERS block an extra amount"); what is
debited at the end of the day is the bill.

Interest, annual fees and penalties are not simulated, nor is anything charged for a future that
ends with its contract. A product that was converted costs what the trades cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.charge_rates import Tariff
from sandbox.charges import Charges, charges_of, kind_of, venue_of
from sandbox.contract_note import Bill, Executed, bill_of
from sandbox.listing import find
from sandbox.orders import RMS_USER, Order, Trade
from sandbox.sessions import broker_day

__all__ = ["Billing", "Costs"]

Account = tuple[str, str]


def _executed(trades: Sequence[Trade], orders: Mapping[str, Order]) -> list[Executed]:
    """Return what each order traded, in order of first trade."""
    found: dict[str, list[Trade]] = {}
    for trade in trades:
        found.setdefault(trade.order_id, []).append(trade)
    executed = []
    for order_id, fills in found.items():
        first = fills[0]
        instrument = find(first.symbol)
        if instrument is None:
            continue
        order = orders.get(order_id)
        executed.append(
            Executed(
                order_id=order_id,
                segment=instrument.exchange,
                symbol=instrument.symbol,
                isin=instrument.isin,
                product=first.product,
                kind=kind_of(instrument, first.product),
                side=first.side,
                quantity=sum(fill.quantity for fill in fills),
                value=sum((fill.quantity * _money(fill.price) for fill in fills), Decimal(0)),
                is_square_off=order is not None and order.placed_by == RMS_USER,
            )
        )
    return executed


def _money(price: float) -> Decimal:
    return Decimal(str(price))


def _day_of(trade: Trade) -> date:
    """Return the broker's day of a trade."""
    return broker_day(datetime.fromisoformat(trade.at))


class Billing:
    """Bills of all clients; those of days that are over are computed once.

    Args:
        tariffs: Each broker's fees by its name.
    """

    def __init__(self, tariffs: Mapping[str, Tariff]) -> None:
        self._tariffs = tariffs
        self._known: dict[tuple[Account, date], tuple[int, Bill]] = {}

    def clear(self) -> None:
        """Forget every bill."""
        self._known.clear()

    def tariff(self, broker: str) -> Tariff:
        """Return a broker's fees."""
        return self._tariffs[broker]

    def bill(
        self, account: Account, day: date, trades: Sequence[Trade], orders: Mapping[str, Order]
    ) -> Bill:
        """Return the bill of a day from the trades of that day."""
        known = self._known.get((account, day))
        if known is not None and known[0] == len(trades):
            return known[1]
        made = bill_of(self._tariffs[account[0]], day, _executed(trades, orders))
        self._known[account, day] = (len(trades), made)
        return made

    def shown(
        self, account: Account, day: date, trades: Sequence[Trade], orders: Mapping[str, Order]
    ) -> dict[str, Any]:
        """Return the bill of a day as JSON, with each order's exact charges by its product."""
        of_day = [trade for trade in trades if _day_of(trade) == day]
        tariff = self._tariffs[account[0]]
        rows = [
            _order_json(item, _as_ordered(tariff, day, item)) for item in _executed(of_day, orders)
        ]
        return {"orders": rows} | _bill_json(self.bill(account, day, of_day, orders))


def _as_ordered(tariff: Tariff, day: date, item: Executed) -> Charges:
    venue = venue_of(item.segment)
    return charges_of(tariff, day, venue=venue, kind=item.kind, side=item.side, value=item.value)


@dataclass(frozen=True)
class Costs:
    """The costs of one account, as its portfolio asks for them.

    Args:
        billing: Makes the bills.
        account: Whose.
        orders: Every order by its number.
    """

    billing: Billing
    account: Account
    orders: Mapping[str, Order]

    def before(self, day: date, trades: Sequence[Trade]) -> float:
        """Return what was debited for the days before a day."""
        by_day: dict[date, list[Trade]] = {}
        for trade in trades:
            traded = _day_of(trade)
            if traded < day:
                by_day.setdefault(traded, []).append(trade)
        bills = [self.billing.bill(self.account, d, t, self.orders) for d, t in by_day.items()]
        return float(sum((bill.total for bill in bills), Decimal(0)))

    def withheld(self, order: Order, price: float, day: date) -> float:
        """Return what the broker holds back for an order, filled or not.

        Args:
            order: The order.
            price: Of what has not filled.
            day: Whose rates hold.
        """
        tariff = self.billing.tariff(self.account[0])
        instrument = find(order.symbol)
        if not tariff.withholds or instrument is None:
            return 0.0
        value = order.filled_quantity * _money(order.average_price)
        value += order.leaves_quantity * _money(price)
        exact = charges_of(
            tariff,
            day,
            venue=venue_of(instrument.exchange),
            kind=kind_of(instrument, order.product),
            side=order.side,
            value=value,
        )
        return float(exact.total - exact.transaction_tax)


def _charges_json(charges: Charges) -> dict[str, float]:
    """Return charges as JSON, with their sum."""
    shown = {name: float(value) for name, value in vars(charges).items()}
    return shown | {"total": float(charges.total)}


def _order_json(item: Executed, exact: Charges) -> dict[str, Any]:
    return {
        "order_id": item.order_id,
        "exchange": item.segment,
        "symbol": item.symbol,
        "product": item.product,
        "kind": item.kind.value,
        "side": item.side,
        "quantity": item.quantity,
        "value": float(item.value),
        "charges": _charges_json(exact),
    }


def _bill_json(bill: Bill) -> dict[str, Any]:
    return {
        "day": bill.day.isoformat(),
        "note": {segment: _charges_json(column) for segment, column in bill.segments.items()},
        "note_total": float(bill.note_total),
        "depository": float(bill.depository),
        "square_off": float(bill.square_off),
        "total": float(bill.total),
    }
