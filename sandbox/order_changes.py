"""Modifications: what an order looks like after a change, checked before it takes effect."""

from __future__ import annotations

from copy import copy

from sandbox.instruments import Instrument
from sandbox.order_entry import OrderEntry, protection_tags
from sandbox.orders import AMO_RECEIVED, Change, Order, Refused
from sandbox.risk import STOPS, check_price, check_quantity, check_stop

__all__ = ["MAX_MODIFICATIONS", "changed_order"]

MAX_MODIFICATIONS = 25
_FIELDS = ("quantity", "price", "trigger_price", "validity", "disclosed_quantity")


def changed_order(
    order: Order, change: Change, instrument: Instrument, entry: OrderEntry, last: float
) -> Order:
    """Return a copy of a working order with a change applied.

    Args:
        order: The order as it is.
        change: What the client wants.
        instrument: What it trades.
        entry: Protects an order that becomes a market order.
        last: The last price, beyond which a new trigger must lie.

    Raises:
        Refused: Too many changes, or a wrong value.
    """
    if order.modifications >= MAX_MODIFICATIONS:
        raise Refused("order", "Maximum allowed order modifications exceeded.")
    if change.quantity is not None and change.quantity <= order.filled_quantity:
        raise Refused("input", "Quantity cannot be less than or equal to what is already filled.")
    if change.quantity is not None:
        check_quantity(instrument, change.quantity)
    check_price(instrument, change.price or 0.0)
    check_price(instrument, change.trigger_price or 0.0)
    changed = copy(order)
    changed.history = list(order.history)
    for name in _FIELDS:
        value = getattr(change, name)
        if value is not None:
            setattr(changed, name, value)
    if change.protection:
        changed.protection = change.protection
    if change.order_type is not None:
        _retype(changed, order.order_type, change.order_type, instrument, entry)
    if changed.order_type in STOPS and not changed.is_triggered:
        before = (order.order_type, order.trigger_price)
        is_moved = (changed.order_type, changed.trigger_price) != before
        check_stop(changed, last if is_moved and order.status != AMO_RECEIVED else None)
    return changed


def _retype(
    order: Order, before: str, order_type: str, instrument: Instrument, entry: OrderEntry
) -> None:
    order.order_type = order_type
    if order_type not in STOPS:
        order.trigger_price, order.is_triggered = 0.0, False
    if before == "SL-M" and order_type != "SL-M":
        order.system_tags = []
    if order_type == "MARKET":
        order.price = 0.0
        if order.protection:
            entry.protect(order, order.protection, instrument)
    if order_type == "SL-M" and not order.is_triggered:
        order.price = 0.0
        order.system_tags = protection_tags(order.protection) if order.protection else []
