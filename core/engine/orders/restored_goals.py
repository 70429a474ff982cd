"""Goals of a restored store: no close is carried out again, and its stops are followed on (D04).

Writes documents of ``goals`` through ``core.engine.orders.goals``; owns none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.broker import BrokerOrder
from core.domain.converge import to_close
from core.domain.goal import Goal
from core.domain.order import MANUAL, OPEN_STATES, Order, OrderState, Purpose
from core.domain.regained import attempt_of_stop
from core.domain.stops import MAKES_WAY
from core.engine.orders.decisions import external_order
from core.engine.orders.goals import (
    give_up_close,
    goal_at,
    goals_of,
    keep_stop_of,
    keep_what_is_held,
    move_stop,
)
from core.engine.orders.journal import every_order_in, orders_in
from core.engine.orders.ledgers import ledger_at, ledgers_of
from core.ports.store import StoreView

__all__ = ["end_closes", "regain_stop"]


async def end_closes(view: StoreView, *, at: datetime) -> None:
    """End every close that a backup shows under way: it may have been carried out since.

    What is held is kept, under the stop that it had, until a user or the strategy decides anew.
    """
    for goal in await goals_of(view, None):
        if goal.strategy == MANUAL:
            await give_up_close(view, goal)
            continue
        ledger = await ledger_at(view, goal.key)
        held = ledger.quantity if ledger else 0
        if not goal.by_user and not to_close(goal.quantity, held):
            continue
        quantity, stop_price, run_id, before = goal.quantity, goal.stop_price, goal.run_id, None
        if to_close(goal.quantity, held):
            same = await every_order_in(view, goal.broker_id, goal.instrument, goal.day)
            own = [order for order in same if _is_of(order, goal)]
            trigger, was = _trigger(own), goal.before
            # A stop that did not rest is known by the goal that the close took the place of.
            if trigger is None and was is not None and was.quantity * held > 0:
                before = was
            quantity = held
            stop_price = before.stop_price if before else trigger or goal.stop_price
            run_id = _run_of_entry(own) or (was.run_id if was else goal.run_id)
        await keep_what_is_held(
            view, goal, quantity=quantity, stop_price=stop_price, run_id=run_id, at=at
        )
        if before is not None:
            await keep_stop_of(view, before)


def _is_of(order: Order, goal: Goal) -> bool:
    return (order.strategy, order.request.product) == (goal.strategy, goal.product)


def _trigger(orders: Sequence[Order]) -> Decimal | None:
    """Return the trigger of the newest stop that rests, or that made way for the close."""
    stops = [
        order
        for order in orders
        if order.purpose is Purpose.STOP
        and (
            order.state in OPEN_STATES
            or (order.state is OrderState.CANCELED and order.cancel_reason == MAKES_WAY)
        )
    ]
    newest = max(stops, key=lambda order: (order.created_at, order.attempt), default=None)
    return newest.request.trigger_price if newest else None


def _run_of_entry(orders: Sequence[Order]) -> str:
    """Return the run that opened the position: that of a panic would keep its results untold."""
    entries = [one for one in orders if one.purpose is Purpose.ENTRY and one.filled_quantity]
    newest = max(entries, key=lambda order: (order.created_at, order.attempt), default=None)
    return newest.run_id if newest else ""


async def regain_stop(
    view: StoreView, broker_id: str, day: str, seen: BrokerOrder, *, at: datetime
) -> Order | None:
    """Return a stop of ours that the journal lacks as its ledger's; None where that is not proved.

    Its goal wants the price at which it rests: that of the backup is older.
    """
    same = await orders_in(view, broker_id, seen.instrument, day)
    for ledger in await ledgers_of(view, broker_id):
        if (ledger.instrument, ledger.product) != (seen.instrument, seen.product):
            continue
        goal = await goal_at(view, ledger.key)
        if goal is None or not ledger.quantity:
            continue
        own = [one for one in same if _is_of(one, goal) and one.request.side is seen.side]
        attempt = attempt_of_stop(seen, goal, ledger, own, day)
        if attempt is None:
            continue
        if seen.trigger_price is not None and seen.trigger_price != goal.stop_price:
            await move_stop(view, goal, seen.trigger_price, at=at, day=day)
        found = external_order(broker_id, day, seen, at=at, key=seen.tag or "")
        return replace(
            found,
            strategy=goal.strategy,
            run_id=goal.run_id,
            purpose=Purpose.STOP,
            state=OrderState.ACCEPTED,
            attempt=attempt,
            # Its fills move the ledger by an event, as those of every other order.
            filled_quantity=0,
            average_price=Decimal(0),
        )
    return None
