"""Today's profit of a position, worked out from the day's fills and the previous close.

Brokers' own profit fields disagree: Kite puts all of it into ``unrealised``, also on a flat row,
and counts a carried position since its entry. Here what was carried into the day begins at the
previous close, what was traded today at its own price, and the two parts add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal

from core.domain.broker import BrokerTrade, Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from core.domain.shares import is_same_share

__all__ = ["Profit", "days_profit", "holding_of", "previous_closes_missing"]

_ZERO = Decimal(0)
_PAISA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Profit:
    """Rupees of profit of one day, multiples of a paisa: sums are sums of what is shown.

    Attributes:
        realised: Of units that were closed today.
        unrealised: Of units that are held, at the last price.
        is_since_entry: The previous close is not known, so that what was carried is counted from
            its entry, as the broker does.
        average: What a unit of what is held has cost, by the day's trades in their order; None
            where units were carried into the day, or its trades are not all known.
    """

    realised: Decimal
    unrealised: Decimal
    is_since_entry: bool = False
    average: Decimal | None = field(default=None, compare=False)

    @property
    def total(self) -> Decimal:
        """Both parts together."""
        return self.realised + self.unrealised


def days_profit(
    position: Position, trades: Iterable[BrokerTrade] = (), holdings: Iterable[Holding] = ()
) -> Profit:
    """Return today's profit of a position.

    Args:
        position: What the broker says is held, with what was bought and sold today.
        trades: The day's executions, for brokers whose positions lack the day's values.
        holdings: Delivery shares: what was sold out of them is not a short.
    """
    trades = tuple(trades)
    carried = position.carried
    close = position.previous_close
    held = position
    if position.product is Product.CNC and position.quantity < 0:
        # A delivery sale: the shares came out of the holdings, and are gone.
        holding = holding_of(position.instrument, holdings)
        close = holding.previous_close if holding else None
        carried -= position.quantity
        held = replace(position, quantity=0)
    values = _values(position, trades)
    if values is None or (carried and not close):
        booked = position.realised.quantize(_PAISA, ROUND_HALF_EVEN)
        total = (position.realised + position.unrealised).quantize(_PAISA, ROUND_HALF_EVEN)
        return Profit(booked, total - booked, is_since_entry=True)
    bought, sold = values
    basis = abs(carried) * (close or _ZERO) * position.multiplier
    if carried > 0:
        bought += basis
    else:
        sold += basis
    split = _split(held, bought, sold, carried)
    return _in_order(held, trades, carried, close or _ZERO, split)


def previous_closes_missing(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Return the positions that were carried into the day and whose previous close is unknown."""
    return tuple(one for one in positions if one.carried and not one.previous_close)


def _split(position: Position, bought: Decimal, sold: Decimal, carried: int) -> Profit:
    worth = position.quantity * position.last_price * position.multiplier
    total = (sold - bought + worth).quantize(_PAISA, ROUND_HALF_EVEN)
    buys = position.day_buy_quantity + max(carried, 0)
    sells = position.day_sell_quantity + max(-carried, 0)
    closed = min(buys, sells)
    realised = closed * (sold / sells - bought / buys) if closed else _ZERO
    realised = realised.quantize(_PAISA, ROUND_HALF_EVEN) if position.quantity else total
    return Profit(realised, total - realised)


def _in_order(
    position: Position, trades: Iterable[BrokerTrade], carried: int, close: Decimal, split: Profit
) -> Profit:
    """Return the parts of a profit as the day's trades made them, one after the other.

    By the sums of the day, units that were bought again after a close would change what the close
    had booked, and their own price. Where the trades do not say the order, the sums stand.
    """
    key = (position.instrument, position.product)
    mine = [one for one in trades if (one.instrument, one.product) == key]
    moved = sum(one.side.sign * one.quantity for one in mine)
    times = [one.traded_at for one in mine if one.traded_at is not None]
    if not position.quantity or carried + moved != position.quantity or len(times) != len(mine):
        return split
    held, cost, booked = carried, close, _ZERO
    for trade in sorted(mine, key=lambda one: one.traded_at or times[0]):
        units = trade.side.sign * trade.quantity
        closed = min(abs(held), abs(units)) if held * units < 0 else 0
        booked += closed * (trade.price - cost) * (1 if held > 0 else -1)
        opened = abs(units) - closed
        if opened and closed == abs(held):
            cost = trade.price
        elif opened:
            cost = (abs(held) * cost + opened * trade.price) / (abs(held) + opened)
        held += units
    realised = (booked * position.multiplier).quantize(_PAISA, ROUND_HALF_EVEN)
    average = None if carried else cost.quantize(_PAISA, ROUND_HALF_EVEN)
    return replace(split, realised=realised, unrealised=split.total - realised, average=average)


def _values(position: Position, trades: Iterable[BrokerTrade]) -> tuple[Decimal, Decimal] | None:
    """Return the rupees bought and sold for today; None where nothing says them for certain."""
    buys, sells = position.day_buy_quantity, position.day_sell_quantity
    value, sale = position.day_buy_value, position.day_sell_value
    if (value is not None or not buys) and (sale is not None or not sells):
        return value or _ZERO, sale or _ZERO
    key = (position.instrument, position.product)
    units = {Side.BUY: 0, Side.SELL: 0}
    rupees = {Side.BUY: _ZERO, Side.SELL: _ZERO}
    for trade in trades:
        if (trade.instrument, trade.product) == key:
            units[trade.side] += trade.quantity
            rupees[trade.side] += trade.quantity * trade.price * position.multiplier
    if (units[Side.BUY], units[Side.SELL]) != (buys, sells):
        return None
    return rupees[Side.BUY], rupees[Side.SELL]


def holding_of(instrument: InstrumentId, holdings: Iterable[Holding]) -> Holding | None:
    """Return the delivery shares of an instrument, whatever exchange they are listed under.

    One without its previous close only when no other has it.
    """
    found = [
        one
        for one in holdings
        if instrument in one.names or is_same_share(one.instrument, instrument)
    ]
    return next((one for one in found if one.previous_close), found[0] if found else None)
