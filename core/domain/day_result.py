"""The day's result of an account, and of several together: before charges and after them.

After charges means after those of the day so far **and** of closing what is held at the last
price: what would be left if all were closed now. Limits and guards judge this figure (rows R1 and
R5), and the chat shows it. What the figure rests on:

* profit is today's (``core.domain.profit``): what was carried counts from the previous close;
* charges are estimated (``core.domain.charges``). Closing is thought of as one order for each
  position; above the freeze quantity it takes several, and costs a brokerage each;

``core.domain.strategy_result`` has the same of one strategy on an account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from core.domain.broker import BrokerTrade, Holding, Position
from core.domain.charges import (
    NOTHING,
    Charges,
    Execution,
    Rates,
    charges_of,
    closing_charges,
    closing_execution,
    executions_of_trades,
)
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from core.domain.profit import days_profit

__all__ = ["DayResult", "day_result", "priced", "together"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DayResult:
    """Rupees of one day.

    Attributes:
        realised: Before charges, of units that were closed today.
        unrealised: Before charges, of units that are held, at the last price.
        charges: Of what was traded so far.
        closing: What closing everything that is held would add to them.
        is_since_entry: Something that was carried counts from its entry: its previous close is not
            known.
        missing: What is not in the profit, and why; empty when everything is.
    """

    realised: Decimal = _ZERO
    unrealised: Decimal = _ZERO
    charges: Charges = NOTHING
    closing: Charges = NOTHING
    is_since_entry: bool = False
    missing: tuple[str, ...] = ()

    @property
    def before(self) -> Decimal:
        """The result before charges."""
        return self.realised + self.unrealised

    @property
    def all_charges(self) -> Decimal | None:
        """Charges so far and of closing; None when any of them is unknown."""
        return (self.charges + self.closing).total

    @property
    def after(self) -> Decimal | None:
        """The result after all charges; None when any of them is unknown."""
        return None if self.all_charges is None else self.before - self.all_charges

    @property
    def judged(self) -> Decimal:
        """The result that limits and guards judge: after all charges that are known."""
        return self.before - self.charges.known - self.closing.known


def together(results: Iterable[DayResult]) -> DayResult:
    """Return several accounts' results, or several strategies', as one."""
    total = DayResult()
    for one in results:
        total = DayResult(
            total.realised + one.realised,
            total.unrealised + one.unrealised,
            total.charges + one.charges,
            total.closing + one.closing,
            total.is_since_entry or one.is_since_entry,
            (*total.missing, *one.missing),
        )
    return total


def priced(position: Position, price: Decimal | None) -> Position:
    """Return a position at another last price."""
    if price is None or price == position.last_price:
        return position
    moved = (price - position.last_price) * position.quantity * position.multiplier
    return replace(position, last_price=price, unrealised=position.unrealised + moved)


def day_result(
    positions: Iterable[Position],
    trades: Iterable[BrokerTrade],
    holdings: Iterable[Holding],
    broker: str,
    day: date,
    *,
    prices: Mapping[InstrumentId, Decimal] | None = None,
    rates: Rates | None = None,
) -> DayResult:
    """Return an account's result by the broker's own lists.

    Args:
        positions: As the broker shows them, closed ones of the day included.
        trades: The day's executions. Fills that positions show and trades do not yet are charged
            as one order a side.
        holdings: Delivery shares.
        broker: The name of the broker (``core.domain.identifiers.broker_of``).
        day: The trading day.
        prices: Later prices than those of the positions, as far as there are any.
        rates: Other rates than the committed ones.
    """
    later, shares = prices or {}, tuple(holdings)
    held = [priced(one, later.get(one.instrument)) for one in positions]
    listed = tuple({(one.broker_order_id, one.trade_id): one for one in trades}.values())
    profits = [days_profit(one, listed, shares) for one in held]
    done = [*executions_of_trades(listed), *_unlisted(held, listed)]
    closing = [
        closing_execution(one.instrument, one.product, one.quantity, one.last_price)
        for one in held
        # A negative CNC position is a delivery sale: nothing is left to close.
        if one.quantity and not (one.product is Product.CNC and one.quantity < 0)
    ]
    return DayResult(
        sum((one.realised for one in profits), _ZERO),
        sum((one.unrealised for one in profits), _ZERO),
        charges_of(done, broker, day, rates),
        closing_charges(done, closing, broker, day, rates),
        any(one.is_since_entry for one in profits),
    )


def _unlisted(positions: Sequence[Position], trades: Sequence[BrokerTrade]) -> Iterable[Execution]:
    """Yield what positions have bought and sold today beyond what the trades show."""
    listed: dict[tuple[InstrumentId, Side], int] = {}
    for trade in trades:
        key = (trade.instrument, trade.side)
        listed[key] = listed.get(key, 0) + trade.quantity
    # By instrument, whatever the product: a converted position is charged as it was traded.
    for position in positions:
        for side, units, value in (
            (Side.BUY, position.day_buy_quantity, position.day_buy_value),
            (Side.SELL, position.day_sell_quantity, position.day_sell_value),
        ):
            key = (position.instrument, side)
            shown = min(units, listed.get(key, 0))
            listed[key] = listed.get(key, 0) - shown
            if units > shown:
                price = value / units / position.multiplier if value else position.last_price
                name, product = position.instrument, position.product
                yield Execution(
                    f"unlisted {name} {product} {side}", name, product, side, units - shown, price
                )
