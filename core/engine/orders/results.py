"""The result of a position that a stop, a guard or a user closed (row H5: no silent end).

Called in the transaction of the fill that makes the position flat, so that the result is told once
and never before it is true. What a strategy's own exit closes stays on the card of its run, and the
result of a decision to close takes the place of its card: one event, one message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from core.domain.charges import executions_of_orders, newest, round_trip_charges
from core.domain.goal import Goal
from core.domain.identifiers import broker_of
from core.domain.ledger import Ledger, ledger_key
from core.domain.notices.exits import ExitThrough
from core.domain.notices.post import (
    FIRED,
    Post,
    card_of_run,
    closed_card,
    run_card,
    stuck_removal,
)
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.order import EXTERNAL, MANUAL, OPEN_STATES, Order, Purpose
from core.engine.orders.goals import goal_at, goals_of, is_result_wanted
from core.engine.orders.ledgers import ledger_at, ledgers_of
from core.engine.orders.run_rows import run_at
from core.ports.store import Document, StoreView

__all__ = [
    "charges_by_hand",
    "charges_of_close",
    "result_of_close",
    "result_of_ledger",
    "result_of_own",
]

_BY_KIND = {
    "close": ClosedBy.USER,
    "switch-off": ClosedBy.USER,
    "stop": ClosedBy.STOP,
    "guard": ClosedBy.DAY_GUARD,
}
"""Who closes by a run of its own; a strategy's runs and its square-off are not here."""


async def result_of_ledger(
    view: StoreView, last: Order, before: Ledger, after: Ledger, today: Sequence[Order]
) -> list[Post]:
    """Return the posts of a strategy's position that has just been closed; none for another step.

    Args:
        view: The transaction of the fill.
        last: The order that filled.
        before: The ledger before the fill.
        after: The ledger after it.
        today: The account's orders of the day in the instrument, this step included.
    """
    if before.quantity == 0 or after.quantity != 0:
        return []
    goal = await goal_at(view, before.key)
    posts = []
    if goal is not None and goal.run_id != last.run_id and await _decision(view, goal.run_id):
        posts.append(run_card(goal.run_id))  # it has nothing left to close, and says so
    posts += _not_stuck(goal)
    position = _of_position(last, today)
    closing = _closing(last, position)
    closed_by = await _closed_by(view, last, before, closing)
    if closed_by is None:
        return posts
    units, price = _filled(closing)
    direction = 1 if before.quantity > 0 else -1
    # Closing moves no average, so that of the ledger is what all these units had cost.
    result = (price - before.average_price) * units * direction
    charges = charges_of_close(closing, position, before.average_price)
    notice = _notice(last, closed_by, units, price, result, charges)
    return [*posts, *await _told(view, last, notice, today)]


def _of_position(last: Order, today: Iterable[Order]) -> list[Order]:
    """Return the filled orders of the position that ``last`` ended, the newest first.

    Found backwards from its end: once entries explain all that was closed, what is older belongs to
    positions before. A run may have ended one of those itself: a reversal, a stop, an entry again.
    """
    found, units = [], 0
    for one in sorted(today, key=lambda order: _place(order, last), reverse=True):
        is_same = (one.strategy, one.request.product) == (last.strategy, last.request.product)
        closes = one.request.side is last.request.side
        if not is_same or not one.filled_quantity or closes is not one.purpose.is_reducing:
            continue
        found.append(one)
        units += one.filled_quantity if closes else -one.filled_quantity
        if units <= 0:
            break
    return found


def _place(order: Order, last: Order) -> tuple[bool, bool, datetime, bool]:
    """Return what sorts orders by when they counted: entries as placed, the others as ended."""
    is_reducing = order.purpose.is_reducing
    is_working = is_reducing and order.state in OPEN_STATES
    at = (order.settled_at or order.created_at) if is_reducing else order.created_at
    is_last = order.client_order_id == last.client_order_id
    return is_last, is_working, at, is_reducing


def _closing(last: Order, position: Sequence[Order]) -> list[Order]:
    """Return the orders that closed the position: those of one decision, and its stop before."""
    # A stop that filled in part and was then chased belongs to the run that had set it.
    return [
        order
        for order in reversed(position)
        if order.purpose.is_reducing
        and (order.run_id == last.run_id or order.purpose is Purpose.STOP)
    ]


async def _closed_by(
    view: StoreView, last: Order, before: Ledger, closing: Sequence[Order]
) -> ClosedBy | None:
    run = await _decision(view, last.run_id)
    if run is not None:
        return _BY_KIND[run["kind"]]
    if any(order.purpose is Purpose.STOP for order in closing):
        return ClosedBy.STOP
    # The strategy still wants what was closed, so it was not its exit.
    goal = await goal_at(view, before.key)
    if goal is not None and goal.run_id == last.run_id and goal.quantity * before.quantity > 0:
        return ClosedBy.GUARD
    if await is_result_wanted(view, before.key, last.run_id):
        return ClosedBy.AFTER_PAUSE
    if goal is not None and goal.stuck == last.run_id:
        return ClosedBy.LATE
    return None


async def _decision(view: StoreView, run_id: str) -> Document | None:
    """Return a run that is a decision to close, whose result takes the place of its card."""
    run = await run_at(view, run_id)
    return run if run is not None and run.get("kind") in _BY_KIND else None


async def _told(
    view: StoreView, last: Order, notice: PositionClosed, today: Sequence[Order]
) -> list[Post]:
    """Return the post of a result; of a decision to close several positions once all are closed."""
    run = await _decision(view, last.run_id)
    if run is None:
        return [Post(notice)]
    if last.run_id.startswith(FIRED):
        return await _end_of_guard(view, last, today)
    if run.get("closes", 1) == 1:
        return [closed_card(notice, last.run_id)]
    for goal in await goals_of(view, last.broker_id):
        if goal.run_id == last.run_id and await _is_held(view, goal, today):
            return []
    return [run_card(last.run_id, fresh=True)]


async def _end_of_guard(view: StoreView, last: Order, today: Sequence[Order]) -> list[Post]:
    """Return the post of a guard's card once all that it closes is closed, on every account."""
    fired = await run_at(view, card_of_run(last.run_id)) or {}
    for broker_id in fired.get("broker_ids", ()):
        for goal in await goals_of(view, broker_id):
            if goal.run_id in fired["runs"] and await _is_held(view, goal, today):
                return []
    return [run_card(last.run_id, fresh=True)]


async def _is_held(view: StoreView, goal: Goal, today: Sequence[Order]) -> bool:
    """Whether something of a decision to close is still held."""
    if goal.strategy != MANUAL:
        ledger = await ledger_at(view, goal.key)
        return ledger is not None and ledger.quantity != 0
    units, _ = _filled([o for o in today if (o.run_id, o.strategy) == (goal.run_id, MANUAL)])
    return units != abs(goal.to_close)


async def result_of_close(view: StoreView, last: Order, today: Sequence[Order]) -> list[Post]:
    """Return the posts of a user's close of what no strategy held, once all of it has filled.

    Args:
        view: The transaction of the fill.
        last: The order of ``MANUAL`` that filled.
        today: The account's orders of the day in the instrument, this step included.
    """
    request = last.request
    key = ledger_key(MANUAL, last.broker_id, request.instrument, request.product)
    goal = await goal_at(view, key)
    if goal is None or goal.run_id != last.run_id:
        return []
    same = [order for order in today if order.request.product is request.product]
    # The same close may have taken strategies' units, by exits of their own in the same run.
    closing = [
        o
        for o in same
        if (o.run_id, o.strategy) == (last.run_id, last.strategy)
        and o.request.side is last.request.side
        and o.filled_quantity
    ]
    units, price = _filled(closing)
    if units != abs(goal.to_close):
        return []
    run = await _decision(view, last.run_id)
    closed_by = _BY_KIND[run["kind"]] if run else ClosedBy.USER
    # What strategies opened and left to the user is the user's own, once they hold none of it.
    result, charges = result_of_own(closing, same, is_all_own=not await _holds_any(view, last))
    notice = _notice(last, closed_by, units, price, result, charges)
    return [*_not_stuck(goal), *await _told(view, last, notice, today)]


async def _holds_any(view: StoreView, last: Order) -> bool:
    """Whether a strategy holds units of what an order closes."""
    what = (last.request.instrument, last.request.product)
    ledgers = await ledgers_of(view, last.broker_id)
    return any(one.quantity and (one.instrument, one.product) == what for one in ledgers)


def _not_stuck(goal: Goal | None) -> list[Post]:
    """Take away the message that an exit is not through."""
    if goal is None or not goal.stuck:
        return []
    position = f"{goal.instrument} {goal.product.value}"
    return [stuck_removal(ExitThrough(goal.broker_id, position), goal.key)]


def result_of_own(
    closing: Sequence[Order], same: Sequence[Order], *, is_all_own: bool = False
) -> tuple[Decimal | None, Decimal | None]:
    """Return what a close of units that no strategy held has brought, and its charges.

    Args:
        closing: The orders of the close that have filled.
        same: The account's orders of the day in that instrument and product.
        is_all_own: No strategy holds any of it now: what they opened is the user's, too.
    """
    units, price = _filled(closing)
    own = [one for one in same if one.strategy in {MANUAL, EXTERNAL}]
    result = _result_of_own_trades(closing[-1], own, units, price) if closing else None
    if result is None and closing and is_all_own:
        own = list(same)
        result = _result_of_own_trades(closing[-1], own, units, price)
    if result is None:
        return None, None
    return result, charges_of_close(closing, own, price)


def charges_of_close(
    closing: Sequence[Order], today: Iterable[Order], average_price: Decimal, units: int = 0
) -> Decimal | None:
    """Return what opening and closing units cost; None when it is not known.

    Args:
        closing: The orders that closed them.
        today: The owner's orders of the day in the instrument.
        average_price: What the units had cost.
        units: Only so many of what ``closing`` filled, the newest; 0 for all of it.
    """
    if not closing:
        return None
    last = closing[-1]
    opening = sorted(
        (
            one
            for one in today
            if one.filled_quantity
            and one.request.product is last.request.product
            and one.request.side is not last.request.side
        ),
        # A reversal's exit and entry are of one moment and one side: the entry opened.
        key=lambda one: (one.created_at, not one.purpose.is_reducing),
    )
    closed = list(executions_of_orders(sorted(closing, key=lambda one: one.created_at)))
    return round_trip_charges(
        newest(closed, units) if units else closed,
        executions_of_orders(opening),
        average_price,
        broker_of(last.broker_id),
        date.fromisoformat(last.day),
    ).total


def charges_by_hand(
    before: Sequence[Ledger],
    changed: Sequence[Ledger],
    orders: Sequence[Order],
    *,
    price: Decimal,
    result: Decimal,
) -> Decimal | None:
    """Return what opening and closing the units cost that foreign fills took from ledgers.

    Args:
        before: The ledgers of one (instrument, product).
        changed: Those that the fills have reduced, as they are afterwards.
        orders: Today's orders of it.
        price: The average price of the fills that took the units.
        result: What the units brought, before charges.
    """
    was = {one.key: one.quantity for one in before}
    units = sum(was[one.key] - one.quantity for one in changed)
    names = {one.strategy for one in changed}
    foreign = [
        one
        for one in orders
        if one.strategy in {MANUAL, EXTERNAL}
        and one.filled_quantity
        and one.request.side.sign * units < 0
    ]
    if not foreign:
        return None
    mine = [one for one in orders if one.strategy in names]
    return charges_of_close(foreign, mine, price - result / units, abs(units))


def _result_of_own_trades(
    last: Order, orders: Sequence[Order], units: int, price: Decimal
) -> Decimal | None:
    """Return the result where the day's own orders opened just these units; else it is unknown."""
    own = [one for one in orders if one.filled_quantity]
    opening = [o for o in own if o.request.side is not last.request.side]
    others = [o for o in own if o.request.side is last.request.side and o.run_id != last.run_id]
    opened, cost = _filled(opening)
    if others or opened != units:
        return None
    return (price - cost) * units * -last.request.side.sign


def _filled(orders: Sequence[Order]) -> tuple[int, Decimal]:
    """Return how many units orders have filled, and their average price."""
    units = sum(order.filled_quantity for order in orders)
    value = sum((order.average_price * order.filled_quantity for order in orders), Decimal(0))
    return units, value / units if units else Decimal(0)


def _notice(
    last: Order,
    closed_by: ClosedBy,
    units: int,
    price: Decimal,
    result: Decimal | None,
    charges: Decimal | None,
) -> PositionClosed:
    request = last.request
    return PositionClosed(
        last.broker_id,
        closed_by,
        last.strategy,
        str(request.instrument),
        request.product.value,
        request.side,
        units,
        price,
        result,
        charges,
    )
