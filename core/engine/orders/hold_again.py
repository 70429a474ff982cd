"""A close that is given up: what a strategy still holds is wanted again, with its stop (row R6)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.domain.goal import Goal
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderState, Purpose
from core.domain.stops import MAKES_WAY
from core.domain.truth import key_of
from core.engine.orders.goals import give_up_close, put_goal
from core.engine.orders.journal import orders_in
from core.engine.orders.ledgers import ledger_at
from core.ports.store import StoreView

__all__ = ["hold_again"]


async def hold_again(view: StoreView, goal: Goal, *, day: str, at: datetime) -> None:
    """Want what the goal's ledger holds, protected as before the close; an empty one is left.

    A goal without a ledger, of what no strategy owns, asks for nothing any more: an exit of it that
    still works is cancelled, and the goal is removed with that.
    """
    ledger = await ledger_at(view, goal.key)
    if ledger is None:
        await give_up_close(view, goal)
        return
    if not ledger.quantity:
        return
    orders = await orders_in(view, goal.broker_id, goal.instrument, day)
    await put_goal(
        view,
        strategy=goal.strategy,
        broker_id=goal.broker_id,
        instrument=goal.instrument,
        product=goal.product,
        quantity=ledger.quantity,
        stop_price=_trigger(ledger, orders),
        run_id=goal.run_id,
        day=day,
        at=at,
    )


def _trigger(ledger: Ledger, orders: list[Order]) -> Decimal | None:
    """Return the trigger of the newest stop that rests, or that made way for the close."""
    stops = [
        order
        for order in orders
        if order.purpose is Purpose.STOP
        and (order.strategy, key_of(order)) == (ledger.strategy, key_of(ledger))
        and (order.leaves_quantity or _made_way(order))
    ]
    newest = max(stops, key=lambda order: (order.created_at, order.attempt), default=None)
    return newest.request.trigger_price if newest is not None else None


def _made_way(order: Order) -> bool:
    return order.state is OrderState.CANCELED and order.cancel_reason == MAKES_WAY
