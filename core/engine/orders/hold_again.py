"""A close that is given up: what a strategy still holds is wanted again, with its stop (row R6)."""

from __future__ import annotations

from datetime import datetime

from core.domain.goal import Goal
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderState, Purpose, Side
from core.domain.stops import MAKES_WAY
from core.domain.truth import key_of
from core.engine.orders.goals import give_up_close, keep_stop_of, put_goal
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
    before = goal.before.on(day) if goal.before else None
    if before is not None and before.quantity * ledger.quantity < 0:
        before = None  # the stop of the other side, which a reversal would have opened
    newest = _newest_stop(ledger, await orders_in(view, goal.broker_id, goal.instrument, day))
    if before is not None and not _is_moved_by_hand(newest, before):
        newest = None
    price = newest.request.trigger_price if newest else before.stop_price if before else None
    await put_goal(
        view,
        strategy=goal.strategy,
        broker_id=goal.broker_id,
        instrument=goal.instrument,
        product=goal.product,
        quantity=ledger.quantity,
        stop_price=price,
        run_id=goal.run_id,
        day=day,
        at=at,
        stop_rule=before.stop_rule if before else None,
    )
    if before is not None and newest is None:
        await keep_stop_of(view, before)


def _newest_stop(ledger: Ledger, orders: list[Order]) -> Order | None:
    """Return the newest stop that rests, or that made way for the close."""
    stops = [
        order
        for order in orders
        if order.purpose is Purpose.STOP
        and (order.strategy, key_of(order)) == (ledger.strategy, key_of(ledger))
        and order.request.side is Side.of(-ledger.quantity)
        and (order.leaves_quantity or _made_way(order))
    ]
    return max(stops, key=lambda order: (order.created_at, order.attempt), default=None)


def _is_moved_by_hand(stop: Order | None, before: Goal) -> bool:
    """Whether a stop rested where a person had put it, which is theirs for the day (R7)."""
    return stop is not None and stop.is_changed_outside and stop.run_id == before.run_id


def _made_way(order: Order) -> bool:
    return order.state is OrderState.CANCELED and order.cancel_reason == MAKES_WAY
