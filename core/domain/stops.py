"""The stop of a ledger: the next step that protects what is held (rows D9, R7).

A stop that rests is not taken for protection: one that triggered and rests unfilled is an exit in
progress, one that the broker refuses because the price is through it becomes an exit at once, one
that somebody else cancelled or changed is not fought over. What is too small gets a second one
beside it, for a stop that is cancelled to be replaced leaves a moment without any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.domain.backoff import is_over
from core.domain.goal import Goal
from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    Order,
    OrderRequest,
    OrderState,
    Purpose,
    Side,
)
from core.domain.outcome import Cause
from core.domain.steps import (
    GiveUpStop,
    PlaceStop,
    ResizeStop,
    Step,
    StopGone,
    StopPassed,
    Wait,
    cancelled,
)

__all__ = ["MAKES_WAY", "is_price_through", "protect", "restored_stop"]

MAKES_WAY = "makes way for an exit"
"""Why a stop is cancelled that its exit may have to put back."""
_AT_WORK = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}
_THROUGH = re.compile(
    r"trigger.*\b(?:lower|less|below|higher|greater|above)\b.*\b(?:last|ltp|market|current)\b",
    re.IGNORECASE | re.DOTALL,
)
_BROKERS_OWN = re.compile(r"\b(?:rms|exchange|system|admin|broker|risk|auto\w*)\b", re.IGNORECASE)
"""Words by which a broker says that it, and no person, cancelled an order."""


def is_price_through(message: str) -> bool:
    """Return whether a broker refuses a stop because the price is beyond its trigger already."""
    return bool(_THROUGH.search(message))


def protect(
    goal: Goal,
    held: int,
    stops: Sequence[Order],
    *,
    wait: Wait | None,
    now: datetime,
    chase_s: float,
    limit: int | None = None,
    refused: Mapping[str, OrderRequest] | None = None,
) -> Step:
    """Return the next step of the stops of a ledger that is to be kept.

    Args:
        goal: What is wanted.
        held: The ledger's signed units.
        stops: Today's stops of the ledger, in any state.
        wait: Until when no other stop is tried after some came to nothing.
        now: Real time.
        chase_s: Seconds a stop that has triggered may rest.
        limit: The largest quantity of one order: what is above it is covered by several (R3).
        refused: The last change of a stop that the broker refused, by client order id.
    """
    live = [order for order in stops if order.state in LIVE_STATES]
    if held == 0 or goal.stop_price is None:
        return cancelled(live[0], "nothing left to protect") if live else Wait()
    side = Side.of(-held)
    first = _astray(live, side) or _triggered(live, now=now, chase_s=chase_s)
    # A cancel or change is on the way: one request at a time, else no outcome is known.
    if first is not None or any(order.state not in _AT_WORK for order in live):
        return first or Wait()
    surplus = sum(order.leaves_quantity for order in live) - abs(held)
    if surplus > 0:
        return _less(goal, live, surplus)
    if surplus < 0:
        size = -surplus if limit is None else min(-surplus, limit)
        step = _more(goal, stops, side, size, wait=wait)
        if not isinstance(step, Wait):
            return step
    return _moved(goal, live, refused or {}) or (wait if surplus < 0 and wait else Wait())


def _astray(live: Sequence[Order], side: Side) -> Step | None:
    """Cancel a stop of the wrong side: it would open more of what is held (I6)."""
    wrong = [order for order in live if order.request.side is not side]
    return cancelled(wrong[0], "stands on the wrong side") if wrong else None


def _moved(goal: Goal, live: Sequence[Order], refused: Mapping[str, OrderRequest]) -> Step | None:
    """Move the next stop to the price that is wanted now; a user's own is kept for the day (R7)."""
    for order in live:
        wanted = replace(order.request, trigger_price=goal.stop_price)
        # One that the broker does not move stays where it is, and holds back none of the others.
        is_done = wanted == order.request or refused.get(order.client_order_id) == wanted
        if goal.stop_price is not None and not is_done and not order.is_changed_outside:
            return ResizeStop(order, order.leaves_quantity, goal.stop_price)
    return None


def _triggered(live: Sequence[Order], *, now: datetime, chase_s: float) -> Step | None:
    """Return what to do about a stop that has triggered and has not filled."""
    for order in live:
        if order.triggered_at is None:
            continue
        # It works as an exit now, with a limit that the price may have left behind (D7).
        due = order.triggered_at + timedelta(seconds=chase_s)
        if not is_over(due, order.triggered_at, now):
            return Wait(due)
        return StopPassed(order, "it has triggered and rests unfilled at the broker")
    return None


def _less(goal: Goal, live: Sequence[Order], surplus: int) -> Step:
    """Take units from the newest stop: together they cover more than is held."""
    stop = max(live, key=lambda order: (order.created_at, order.attempt))
    if surplus >= stop.leaves_quantity:
        return cancelled(stop, "covers more than is held")
    trigger = stop.request.trigger_price if stop.is_changed_outside else goal.stop_price
    if trigger is None:
        return cancelled(stop, "covers more than is held")
    return ResizeStop(stop, stop.leaves_quantity - surplus, trigger)


def _more(
    goal: Goal, stops: Sequence[Order], side: Side, quantity: int, *, wait: Wait | None
) -> Step:
    """Place a stop for the units that none covers, beside those that rest."""
    price = goal.stop_price
    if price is None or not goal.can_rest:
        return Wait()
    ended = [
        order
        for order in stops
        if order.state in CLOSED_STATES and order.run_id == goal.run_id and _counts(goal, order)
    ]
    newest = max(ended, key=lambda order: (order.created_at, order.attempt), default=None)
    if newest is not None and (answer := _after(newest, ended, quantity)) is not None:
        return answer
    if wait is not None:
        return wait
    # Beside a stop that the user has moved, the rest follows it.
    beside = [o for o in stops if o.is_changed_outside and o.state in LIVE_STATES]
    if beside and beside[0].request.trigger_price is not None:
        price = beside[0].request.trigger_price
    return PlaceStop(side, quantity, price, len(stops) + 1)


def _counts(goal: Goal, stop: Order) -> bool:
    """Whether the end of a stop still says something of the one that is wanted now.

    A price that was set anew is asked for anew, unless a person has taken the stop away: a stop
    that only moves is no other one, and only a person puts it back (R7).
    """
    if not _was_taken(stop):
        since, at = goal.stop_set_at, stop.created_at
    else:
        since = goal.stop_set_at if _is_brokers(stop) else goal.may_rest_since
        at = _end_of(stop)
    return since is None or at >= since


def _after(newest: Order, ended: Sequence[Order], size: int) -> Step | None:
    """Return what follows from how the newest stop ended; None when one of ``size`` may go."""
    if newest.state is OrderState.REJECTED:
        if newest.cause is Cause.FREEZE and newest.request.quantity > size:
            return None
        if newest.cause is Cause.TRIGGER or is_price_through(newest.reason):
            return StopPassed(newest, "the broker did not take it, as the price is through it")
        if newest.cause is Cause.CLOSED:
            return None
        # It would be refused again: the price is watched here until another stop is set (D9).
        return GiveUpStop(newest)
    if not _was_taken(newest):
        return None
    if not _is_brokers(newest):
        return StopGone(newest, by_person=True)
    # Slices that it cancels at once are put back once each: the second time is when it takes away
    # what was put back.
    taken = [order for order in ended if _was_taken(order)]
    first = min(_end_of(order) for order in taken)
    if any(order.created_at >= first for order in taken):
        return StopGone(newest, by_person=False)
    return None


def _was_taken(order: Order) -> bool:
    """Whether a stop that rested was ended by somebody else."""
    gone = order.state in {OrderState.CANCELED, OrderState.EXPIRED}
    return gone and not order.cancel_reason and order.broker_order_id is not None


def _is_brokers(order: Order) -> bool:
    """Whether the broker ended a stop, and no person: it says so, or the order expired."""
    return order.state is OrderState.EXPIRED or bool(_BROKERS_OWN.search(order.reason))


def restored_stop(held: int, orders: Sequence[Order], limit: int | None = None) -> PlaceStop | None:
    """Return the stop that made way for an exit that came to nothing, to be placed again (R6).

    Args:
        held: Signed units that need it.
        orders: Today's orders of the ledger, in any state.
        limit: The largest quantity of one order.
    """
    stops = [order for order in orders if order.purpose is Purpose.STOP]
    side = Side.of(-held)
    made_way = [
        order
        for order in stops
        if order.state is OrderState.CANCELED
        and order.cancel_reason == MAKES_WAY
        and order.request.side is side
    ]
    # Beside those that rest or are being cancelled, for what none of them covers and no exit
    # closes; beside one of unknown fate nothing is sent.
    unsettled = any(one.state not in CLOSED_STATES | LIVE_STATES for one in stops)
    exits = [order for order in orders if order.purpose is Purpose.EXIT]
    left = abs(held) - sum(order.leaves_quantity for order in [*stops, *exits])
    if not made_way or left <= 0 or unsettled:
        return None
    last = max(made_way, key=_end_of)
    price = last.request.trigger_price
    since = _end_of(last)
    if price is None or any(_bars(order, since, limit) for order in orders):
        return None
    if any(_is_refused(order, limit) for order in stops):
        # What the broker refused beside it before is not asked for again with each exit.
        left = min(left, _given_up(orders, made_way))
    size = left if limit is None else min(left, limit)
    return PlaceStop(side, size, price, len(stops) + 1, is_restored=True) if size > 0 else None


def _end_of(order: Order) -> datetime:
    return order.settled_at or order.created_at


def _bars(order: Order, since: datetime, limit: int | None) -> bool:
    """Whether an order since then says that a stop which made way is not put back.

    The broker refused it, somebody else or the user cancelled it, or it belongs to another
    position than the one that was entered since.
    """
    if order.created_at < since:
        return False
    if order.purpose is Purpose.ENTRY:
        return order.created_at > since and order.filled_quantity > 0
    is_gone = order.state in {OrderState.CANCELED, OrderState.EXPIRED}
    other = is_gone and order.cancel_reason != MAKES_WAY
    return order.purpose is Purpose.STOP and (other or _is_refused(order, limit))


def _is_refused(stop: Order, limit: int | None) -> bool:
    """Whether the broker refused a stop; one above its largest quantity is answered by slices."""
    too_large = stop.cause is Cause.FREEZE and limit is not None and stop.request.quantity > limit
    return stop.state is OrderState.REJECTED and not too_large


def _given_up(orders: Sequence[Order], made_way: Sequence[Order]) -> int:
    """Return the units of stops that made way, and were neither placed again nor closed since."""
    never = {OrderState.REJECTED, OrderState.DENIED, OrderState.NOT_PLACED}
    stops = [one for one in orders if one.purpose is Purpose.STOP and one.state not in never]
    exits = [one for one in orders if one.purpose is Purpose.EXIT]
    changes = [
        *((_end_of(one), one.request.quantity - one.filled_quantity) for one in made_way),
        *((one.created_at, -one.request.quantity) for one in stops),
        *((_end_of(one), -one.filled_quantity) for one in exits),
    ]
    units = 0
    for _, change in sorted(changes, key=lambda one: (one[0], -one[1])):
        units = max(0, units + change)
    return units
