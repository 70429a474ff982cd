"""Matching of one order against one price: triggers, crossings and fill prices.

In a replay a market order fills at the open of the next bar. A decision taken at a bar's start
arrives a little into the bar, more so on a fast clock: within 10 s of market time or 0.75 s of real
time, whichever is longer, it still gets the open of the bar that has just begun (see
``replay_arrival``); later it waits for the next one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox import orders
from sandbox.market import Tick
from sandbox.orders import Order

__all__ = ["admits", "fill_price", "is_unpriced", "may_meet", "replay_arrival", "triggers"]

_GRACE_S = 10.0
_GRACE_REAL_S = 0.75
_LONGEST_GRACE_S = 45.0


def triggers(order: Order, tick: Tick) -> bool:
    """Return whether a price triggers a waiting stop."""
    if order.status != orders.TRIGGER_PENDING:
        return False
    reached = (tick.price - order.trigger_price) * order.sign
    return reached >= 0 and datetime.fromisoformat(order.arrived_at) <= tick.since


def is_unpriced(order: Order) -> bool:
    """Return whether an order takes any price: a market order that nothing protects."""
    return order.order_type in {"MARKET", "SL-M"} and not order.price


def admits(order: Order, price: float) -> bool:
    """Return whether an order may trade at a price, as far as its own limit goes."""
    return is_unpriced(order) or (order.price - price) * order.sign >= 0


def fill_price(order: Order, tick: Tick) -> float | None:
    """Return the price at which an open order trades on a tick, or None.

    An order without a price takes the tick's price, and only at a real print. A limit order that
    is marketable when it arrives gets the better price; one that rests trades at its limit. A
    triggered stop with price protection is a limit order.
    """
    if datetime.fromisoformat(order.arrived_at) > tick.since:
        return None
    if is_unpriced(order):
        return tick.price if tick.is_print or order.is_triggered else None
    if not admits(order, tick.price):
        return None
    if tick.is_print and order.is_fresh:
        return tick.price
    return order.price


def may_meet(order: Order, low: float, high: float) -> bool:
    """Return whether prices from low to high can trigger or fill an order in its present state."""
    if order.status == orders.TRIGGER_PENDING:
        return high >= order.trigger_price if order.sign > 0 else low <= order.trigger_price
    if order.is_fresh or is_unpriced(order):
        return True
    return low <= order.price if order.sign > 0 else high >= order.price


def replay_arrival(now: datetime, speed: float) -> datetime:
    """Return the market time from which bars count for a market order that comes now."""
    begun = now.replace(second=0, microsecond=0)
    grace = min(max(_GRACE_S, _GRACE_REAL_S * speed), _LONGEST_GRACE_S)
    return begun if now - begun <= timedelta(seconds=grace) else now
