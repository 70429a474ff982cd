"""Folding what becomes known of an order into its row: pure, in any order, any number of times.

News of one order comes from answers, from reads of the day's orders and late, so an event may be
older than what the row says. Keeps I5: filled quantity never falls, an older view never takes an
order back, the same event twice is one event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.order import CLOSED_STATES, UNKNOWN_STATES, Order, OrderState, may_become
from core.domain.outcome import Refusal
from core.errors import OrderAnomaly

__all__ = ["OrderEvent", "folded"]


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What became known of an order.

    Attributes:
        filled_quantity: Total filled, None when the event says nothing of it.
        average_price: Of the total filled, rupees.
        quantity: New total quantity after a modification that the broker confirmed.
        held_for: Why the broker refused an order that is held, None when nothing was sent.
        is_resumed: A cancel or modification came to nothing and the order is known to live on.
    """

    state: OrderState
    broker_order_id: str | None = None
    filled_quantity: int | None = None
    average_price: Decimal | None = None
    reason: str = ""
    quantity: int | None = None
    trigger_price: Decimal | None = None
    held_for: Refusal | None = None
    is_resumed: bool = False


def folded(order: Order, event: OrderEvent) -> Order | None:
    """Return the order after the event, or None when nothing new is known.

    Raises:
        OrderAnomaly: The state table does not allow this step.
    """
    filled = max(order.filled_quantity, event.filled_quantity or 0)
    grew = filled > order.filled_quantity
    state = _state_after(order, event, grew=grew)
    request = order.request
    if event.quantity is not None and event.quantity != request.quantity:
        request = replace(request, quantity=event.quantity)
    if event.trigger_price is not None and event.trigger_price != request.trigger_price:
        request = replace(request, trigger_price=event.trigger_price)
    broker_order_id = order.broker_order_id or event.broker_order_id
    same = (
        state is order.state
        and not grew
        and request == order.request
        and broker_order_id == order.broker_order_id
    )
    if same:
        return None
    if state is not order.state and not may_become(order.state, state):
        raise OrderAnomaly(
            f"order {order.client_order_id}: {order.state} may not become {state} ({event.reason})"
        )
    price = event.average_price if grew and event.average_price is not None else None
    return replace(
        order,
        request=request,
        state=state,
        broker_order_id=broker_order_id,
        filled_quantity=filled,
        average_price=order.average_price if price is None else price,
        reason=event.reason or order.reason,
        held_for=event.held_for if state is OrderState.HELD else None,
        version=order.version + 1,
    )


_PENDING = {OrderState.PENDING_CANCEL, OrderState.PENDING_UPDATE}
_AT_WORK = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}


def _state_after(order: Order, event: OrderEvent, *, grew: bool) -> OrderState:
    state = event.state
    if state is OrderState.ACCEPTED and (order.filled_quantity or event.filled_quantity):
        # The answer to the order may arrive after a read that showed its first fill.
        state = OrderState.PARTIALLY_FILLED
    if state in _AT_WORK:
        # "At work" is the word that goes stale: it may not know yet of the cancel or change that we
        # sent since, nor of the end that another read has shown.
        if order.state in _PENDING and not (grew or event.is_resumed):
            return order.state
        if order.state in CLOSED_STATES and not _revives(order, event):
            return order.state
    if state is OrderState.UNRESOLVED and order.state not in UNKNOWN_STATES:
        # The answer was lost, but the day's orders have told meanwhile.
        return order.state
    if state in CLOSED_STATES and order.state in CLOSED_STATES and not grew:
        # Two words for one end (EXPIRED, then CANCELED): the first stands.
        return order.state if not _revives(order, event) else state
    return state


def _revives(order: Order, event: OrderEvent) -> bool:
    """Tell whether an event is real news on an order that was given up as not placed."""
    return order.state is OrderState.NOT_PLACED and event.broker_order_id is not None
