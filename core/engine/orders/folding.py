"""Folding events of an order into its row: pure, in any order, any number of times.

Events of one order come from answers and from reads of the day's orders, and some come late, so an
event may be older than what the row says. Keeps I5: filled quantity never falls, an older view
never takes an order back, the same event twice is one event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    UNKNOWN_STATES,
    Order,
    OrderRequest,
    OrderState,
    may_become,
)
from core.domain.outcome import Cause, Refusal
from core.errors import OrderAnomaly

__all__ = ["OrderEvent", "folded"]


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What became known of an order.

    Attributes:
        filled_quantity: Total filled, None when the event says nothing of it.
        average_price: Of the total filled, rupees.
        quantity: New total quantity after a modification that the broker confirmed.
        asked: Terms of the change that PENDING_UPDATE asks for; with ``is_answered`` those of an
            earlier one that has no answer.
        is_answered: The broker did not take the change, so that it cannot take effect any more.
        held_for: Why the broker refused an order that is held, None when nothing was sent.
        cause: Why the broker rejected it, None where its words were not read.
        largest: The largest quantity of one order that its words name.
        is_triggered: A stop has triggered.
        is_outside: Quantity and trigger are what somebody else has made of them.
        is_resumed: A cancel or modification had no effect and the order is known to work on.
        cancel_reason: Why the order had been asked to go before a cancel that provably was none,
            '' for never; None when the event says nothing of it.
        by_user: A user's word about an order of unknown fate; once that is settled, it changes
            nothing (R4).
    """

    state: OrderState
    broker_order_id: str | None = None
    filled_quantity: int | None = None
    average_price: Decimal | None = None
    reason: str = ""
    quantity: int | None = None
    trigger_price: Decimal | None = None
    asked: tuple[int, Decimal | None] | None = None
    is_answered: bool = False
    held_for: Refusal | None = None
    cause: Cause | None = None
    largest: int | None = None
    is_triggered: bool = False
    is_outside: bool = False
    is_resumed: bool = False
    cancel_reason: str | None = None
    by_user: bool = False


def folded(order: Order, event: OrderEvent) -> Order | None:
    """Return the order after the event, or None when nothing new is known.

    Raises:
        OrderAnomaly: The state table does not allow this step.
    """
    if event.by_user and order.state is not OrderState.UNRESOLVED:
        return None
    # Fills only add up. A read that began before a fill shows fewer, and would shrink the ledger of
    # units that are held (I5).
    filled = max(order.filled_quantity, event.filled_quantity or 0)
    grew = filled > order.filled_quantity
    state = _state_after(order, event, grew=grew)
    request = _request_after(order.request, event)
    asked = _asked_after(order, event, request)
    broker_order_id = _broker_id_after(order, event)
    # The reason is not compared: brokers reword a message from read to read, and each rewording
    # would be a step with its own audit row.
    same = (
        state is order.state
        and not grew
        and request == order.request
        and asked == order.asked
        and broker_order_id == order.broker_order_id
        and (order.triggered_at is not None or not event.is_triggered)
    )
    if same:
        return None
    if state is not order.state and not may_become(order.state, state):
        raise OrderAnomaly(
            f"{request.side.value.lower()} {request.quantity} {request.instrument}: it was "
            f"{_plain(order.state)} and the broker says {_plain(state)}"
            + (f" ({event.reason})" if event.reason else "")
        )
    # The average belongs to the fills: that of an older view describes fewer units.
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
        cause=event.cause or order.cause,
        largest=event.largest or order.largest,
        replaced=(
            order.replaced
            if request == order.request
            else (order.request.quantity, order.request.trigger_price)
        ),
        asked=asked,
        is_changed_outside=order.is_changed_outside or event.is_outside,
        cancel_reason=_cancel_reason_after(order, event),
        version=order.version + 1,
    )


def _plain(state: OrderState) -> str:
    return state.value.lower().replace("_", " ")


def _request_after(request: OrderRequest, event: OrderEvent) -> OrderRequest:
    if event.quantity is not None and event.quantity != request.quantity:
        request = replace(request, quantity=event.quantity)
    if event.trigger_price is not None and event.trigger_price != request.trigger_price:
        request = replace(request, trigger_price=event.trigger_price)
    return request


def _broker_id_after(order: Order, event: OrderEvent) -> str | None:
    if event.by_user:
        return event.broker_order_id or order.broker_order_id
    # The first id stays: another one is a mix-up (N15), which reconciliation corrects by the tag.
    return order.broker_order_id or event.broker_order_id


def _cancel_reason_after(order: Order, event: OrderEvent) -> str:
    """Return why we asked the order to go.

    Kept when the request had no effect at first: a late cancel is no other person's deed. What
    never reached the broker cannot be late, and whoever ends the order then is somebody else (R7).
    """
    if event.state is OrderState.PENDING_CANCEL:
        return event.reason
    return order.cancel_reason if event.cancel_reason is None else event.cancel_reason


def _asked_after(
    order: Order, event: OrderEvent, request: OrderRequest
) -> tuple[int, Decimal | None] | None:
    """Return the terms of our change that may yet show at the broker; None once they do."""
    says = event.is_answered or (event.state is OrderState.PENDING_UPDATE and event.asked)
    asked = event.asked if says else order.asked
    return None if asked == (request.quantity, request.trigger_price) else asked


_PENDING = {OrderState.PENDING_CANCEL, OrderState.PENDING_UPDATE}
_AT_WORK = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}


def _state_after(order: Order, event: OrderEvent, *, grew: bool) -> OrderState:
    """Return the state that an order has after an event that may be older than its row."""
    state = event.state
    if state is OrderState.ACCEPTED and (order.filled_quantity or event.filled_quantity):
        # The answer to the order may arrive after a read that showed its first fill.
        state = OrderState.PARTIALLY_FILLED
    if state in _AT_WORK:
        # "Working" is what goes stale: the event may not include the cancel or change that we sent
        # since, nor the end that another read has shown. A new fill is news all the same.
        if order.state in _PENDING and not (grew or event.is_resumed):
            return order.state
        if order.state in CLOSED_STATES and not _revives(order, event):
            return order.state
    if state is OrderState.UNRESOLVED and order.state not in UNKNOWN_STATES:
        # The answer was lost, but the day's orders have shown the order meanwhile (I4).
        return order.state
    if state is OrderState.NOT_PLACED and order.state in LIVE_STATES:
        # It was absent from a read that began before a user said which order it is.
        return order.state
    if state in CLOSED_STATES and order.state in CLOSED_STATES and not grew:
        # Two words for one end (EXPIRED, then CANCELED): the first is kept, because a second end
        # would raise the alarm of an order that came back.
        return order.state if not _revives(order, event) else state
    return state


def _revives(order: Order, event: OrderEvent) -> bool:
    """Return whether an event proves that an order given up as not placed exists after all.

    A broker's id is the proof: without one the event is only our own earlier doubt.
    """
    return order.state is OrderState.NOT_PLACED and event.broker_order_id is not None
