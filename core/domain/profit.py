"""Today's profit of a position, worked out from the day's fills and the previous close.

Brokers' own profit fields disagree: Kite puts all of it into ``unrealised``, also on a flat row,
and counts a carried position since its entry. Here what was carried into the day begins at the
previous close, what was traded today at its own price, and the two parts add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    """Rupees of profit of one day.

    Attributes:
        realised: Of units that were closed today.
        unrealised: Of units that are held, at the last price.
        is_since_entry: The previous close is not known, so that what was carried is counted from
            its entry, as the broker does.
    """

    realised: Decimal
    unrealised: Decimal
    is_since_entry: bool = False

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
        return Profit(position.realised, position.unrealised, is_since_entry=True)
    bought, sold = values
    basis = abs(carried) * (close or _ZERO) * position.multiplier
    if carried > 0:
        bought += basis
    else:
        sold += basis
    return _split(held, bought, sold, carried)


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
