"""The day of an account at one look: its result, or why nobody knows it (row R5, decision 0016).

The broker's positions are taken with the day's fills where those are newer. Where it is not known
what is held there is no result, and nothing that judges results acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from core.domain.broker import Position
from core.domain.day_result import DayResult
from core.domain.instrument import Product
from core.domain.order import Order
from core.domain.truth import Net

__all__ = ["AccountDay", "caught_up"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountDay:
    """The day of one account, as it stands at one look.

    Attributes:
        result: Of all that was held or traded, delivery holdings left out; None while unknown.
        why: Why it is unknown, a sentence without its full stop; '' while it is known.
        by_strategy: Of each strategy that holds or traded something; known where it misses nothing.
        prices_at: Real time of the oldest price that counts; None while nothing is held.
    """

    broker_id: str
    result: DayResult | None
    why: str = ""
    by_strategy: Mapping[str, DayResult] = field(default_factory=dict)
    prices_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Fills:
    """What was bought and sold today of one key: units, and rupees for one unit of multiplier."""

    bought: int = 0
    sold: int = 0
    paid: Decimal = _ZERO
    received: Decimal = _ZERO
    are_priced: bool = True

    @property
    def net(self) -> int:
        return self.bought - self.sold


def _fills(orders: Iterable[Order]) -> _Fills:
    bought, sold, paid, received = 0, 0, _ZERO, _ZERO
    are_priced = True
    for order in orders:
        units = order.filled_quantity
        are_priced &= not units or order.average_price > 0
        if order.request.side.sign > 0:
            bought += units
            paid += order.average_price * units
        else:
            sold += units
            received += order.average_price * units
    return _Fills(bought, sold, paid, received, are_priced)


def caught_up(position: Position, net: Net, orders: Iterable[Order]) -> Position | None:
    """Return a position as the day's fills make it; None when it is not known what it brought.

    Of the two the one that shows more of the day is newer. An intraday position that did not begin
    flat was converted: its units went with their price, so only the broker's row can say it.

    Args:
        position: The broker's row; one of zero units where it has none.
        net: What is held by all witnesses.
        orders: Today's orders of the same (instrument, product), of every origin.
    """
    if net.is_disputed:
        return None
    fills = _fills(orders)
    if position.product is Product.CNC:
        # What the net has beyond the position are holdings, which are no part of the day.
        carried = position.carried
    elif net.by_fills is None:
        return position
    else:
        carried = net.by_fills - fills.net
    is_converted = position.product is Product.MIS and carried != 0
    if is_converted:
        return position if position.quantity == carried + fills.net else None
    by_fills = replace(
        position,
        quantity=carried + fills.net,
        day_buy_quantity=fills.bought,
        day_sell_quantity=fills.sold,
        day_buy_value=fills.paid * position.multiplier,
        day_sell_value=fills.received * position.multiplier,
    )
    days = (position.day_buy_quantity, position.day_sell_quantity)
    if fills.bought > days[0] or fills.sold > days[1]:
        # A position follows a fill seconds later, and some rows do not tell of the day at all.
        return by_fills if fills.are_priced else None
    is_alike = days == (fills.bought, fills.sold) and position.day_buy_value is None
    return by_fills if is_alike and fills.are_priced else position
