"""Why a broker rejected an order, and what that says about the next one like it (row R3).

The brokers' words are classified in their adapters; here is what follows from the class. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from core.domain.instrument import Product
from core.domain.order import Order, OrderState, Purpose, Side
from core.domain.outcome import Cause

__all__ = ["refused_before"]

_PASSES = timedelta(minutes=15)
"""How long a refusal counts whose cause may pass within the day: funds come."""


def refused_before(
    orders: Iterable[Order], product: Product, side: Side, units: int, now: datetime | None
) -> Order | None:
    """Return the rejected entry that shows that the broker will not take one like it.

    A refused stop or exit says nothing of entries: the order type or the position was its fault.

    Args:
        orders: Today's orders of the account and the instrument.
        product: Of the entry.
        side: Of the entry.
        units: Of the entry; 0 while it has no size.
        now: Real time; None counts every refusal that may pass as passed.
    """
    for order in orders:
        if order.state is not OrderState.REJECTED or order.purpose is not Purpose.ENTRY:
            continue
        if _still_holds(order, product, side, units, now):
            return order
    return None


def _still_holds(
    order: Order, product: Product, side: Side, units: int, now: datetime | None
) -> bool:
    request = order.request
    if order.cause is Cause.INSTRUMENT:
        return True
    if request.product is not product:
        return False
    if order.cause is Cause.PRODUCT:
        return True
    if request.side is not side:
        return False
    if order.cause is Cause.HOLDING:
        return True
    ended = order.settled_at or order.created_at
    if now is None or now - ended >= _PASSES:
        return False
    # Fewer units may be paid for; the same number is not, a moment later. A price outside the band
    # says nothing of the next one: the next signal has another price.
    return order.cause is Cause.MARGIN and units >= request.quantity
