"""What a step of an order tells: its cards, and a notice of its own for what is urgent."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.domain.notices.orders import OrderRejected, OrderRevived
from core.domain.notices.post import (
    Post,
    external_order_card,
    resolved_card,
    run_card,
    unresolved_card,
)
from core.domain.notices.protection import StopChanged
from core.domain.order import CLOSED_STATES, EXTERNAL, Order, OrderState, Purpose, is_alarmed
from core.domain.panic import is_of_panic

__all__ = ["cards_of", "is_exit_of_panic", "posts_of", "was_said"]


def _is_foreign_change(before: Order, after: Order) -> bool:
    # Of an order that is final its end is told, not what it was made before.
    if after.state in CLOSED_STATES:
        return False
    terms = (after.request.quantity, after.request.trigger_price)
    return after.request != before.request and terms != before.asked


def _changed(before: Order, after: Order) -> StopChanged:
    return StopChanged(
        after.broker_id,
        str(after.request.instrument),
        after.request.quantity,
        before.request.trigger_price or Decimal(0),
        after.request.trigger_price or Decimal(0),
    )


def is_exit_of_panic(order: Order) -> bool:
    """Whether what an order brings is told by the one message of a panic, and not by itself.

    A stop that a panic has put back, or given back, is the strategy's: its end is told (H5).
    """
    return is_of_panic(order.run_id) and order.purpose is not Purpose.STOP


def cards_of(order: Order) -> list[Post]:
    """Return the posts that bring the cards on which an order is shown up to date.

    An exit of a panic is shown by the panic's one message, which counts all of them down.
    """
    if is_of_panic(order.run_id):
        return []
    if order.strategy == EXTERNAL:
        return [external_order_card(order.broker_id, order.client_order_id)]
    return [run_card(order.run_id)]


def posts_of(before: Order, after: Order, *, is_told: bool = False) -> list[Post]:
    """Return what a step reports: its cards, and a notice of its own for what is urgent.

    Every card of an order follows it to its end, whoever placed it. That an unresolved order is
    settled stands on its card, and an edit makes no sound: so the card comes anew, unless the users
    have it before their eyes.

    Args:
        before: The order before the step.
        after: The order after it.
        is_told: The user who settled it sees the answer, or it was found seconds after its card.
    """
    key = after.client_order_id
    posts = cards_of(after)
    if OrderState.UNRESOLVED in {before.state, after.state} and before.state is not after.state:
        posts.append(unresolved_card(key))
    # First, because it is also a change of state: that an order came back after its end outweighs
    # what it came back as.
    if is_alarmed(before.state, after.state):
        posts.append(Post(OrderRevived(key)))
    elif after.is_changed_outside and _is_foreign_change(before, after):
        posts.append(Post(_changed(before, after)))
    elif before.state is after.state:
        return posts
    elif after.state is OrderState.REJECTED:
        posts.append(Post(OrderRejected(key)))
    elif before.state is OrderState.UNRESOLVED and not is_told:
        posts.append(resolved_card(key))
    return posts


def was_said(order: Order, beside: Iterable[Order]) -> bool:
    """Whether an exit or a stop of the same decision was rejected before in the same words.

    It is tried again and again: that it is not through, or that the position is unprotected, is a
    notice of its own, which stays.

    Args:
        order: It was rejected now.
        beside: The account's orders of the day in its instrument.
    """
    if not order.purpose.is_reducing or order.attempt == 1:
        return False
    told = (order.state, order.purpose, order.strategy, order.run_id, order.reason)
    return any(
        (one.state, one.purpose, one.strategy, one.run_id, one.reason) == told
        for one in beside
        if one.client_order_id != order.client_order_id
    )
