"""The exits that wait while an account is PAUSED (C2) or needs a login (B8)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.domain.converge import to_close
from core.domain.goal import Goal
from core.domain.order import MANUAL, Purpose, Side
from core.engine.orders.gate import gate_at
from core.engine.orders.goals import goals_of, tell_result
from core.engine.orders.journal import orders_in
from core.engine.orders.ledgers import ledger_at
from core.ports.store import StoreView

__all__ = ["ExitToCome", "exits_to_come", "exits_without_orders", "left_of", "tell_results"]


@dataclass(frozen=True, slots=True)
class ExitToCome:
    """What is to be closed for a goal."""

    goal: Goal
    side: Side
    quantity: int


async def exits_to_come(view: StoreView, broker_id: str, today: str) -> list[ExitToCome]:
    """Return the exits that an account's goals ask for, were it not PAUSED."""
    gate = await gate_at(view, broker_id)
    if gate is None:
        return []
    found = []
    for goal in await goals_of(view, broker_id):
        if not (gate.enabled or gate.drain or goal.by_user):
            continue
        held = await left_of(view, goal, today)
        units = to_close(goal.quantity, held)
        if units:
            found.append(ExitToCome(goal, Side.of(-held), units))
    return found


async def exits_without_orders(view: StoreView, broker_id: str, today: str) -> list[ExitToCome]:
    """Return what is to be closed and is in no exit yet that works or is held back (B8)."""
    found = []
    for one in await exits_to_come(view, broker_id, today):
        orders = await orders_in(view, broker_id, one.goal.instrument, today)
        covered = sum(
            order.leaves_quantity
            for order in orders
            if order.purpose is Purpose.EXIT
            and (order.strategy, order.request.product) == (one.goal.strategy, one.goal.product)
        )
        if one.quantity > covered:
            found.append(replace(one, quantity=one.quantity - covered))
    return found


async def left_of(view: StoreView, goal: Goal, today: str) -> int:
    """Return the signed units that a goal may still reduce, of a user's close its rest."""
    if goal.strategy != MANUAL:
        ledger = await ledger_at(view, goal.key)
        return ledger.quantity if ledger else 0
    if goal.day != today:
        return 0
    orders = await orders_in(view, goal.broker_id, goal.instrument, today)
    closed = sum(
        order.filled_quantity * order.request.side.sign
        for order in orders
        if (order.run_id, order.strategy, order.request.product)
        == (goal.run_id, goal.strategy, goal.product)
    )
    return goal.to_close + closed


async def tell_results(view: StoreView, exits: list[ExitToCome]) -> None:
    """Have the result of each of these exits told when it is through."""
    for one in exits:
        await tell_result(view, one.goal)
