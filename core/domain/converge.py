"""The next step that brings a ledger to its goal: one pure function for exits, stops and chases.

Entries are intents of a run, decided once and sent at most once. Everything that *reduces* is
worked out here, again and again, from the ledger and the orders that are open: an exit that came to
nothing is simply worked out anew (reliability.md 2.3.7), a resting stop is cancelled before an exit
(C6), and a protected "market" exit that rests unfilled is chased (D7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core.domain.backoff import RESTED, chase_at, is_over, retry_at
from core.domain.goal import Goal
from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    UNKNOWN_STATES,
    Order,
    OrderRequest,
    OrderState,
    Purpose,
    Side,
)
from core.domain.steps import (
    Cancel,
    PlaceExit,
    PlaceStop,
    Step,
    Wait,
    cancelled,
)
from core.domain.stops import MAKES_WAY, protect, restored_stop

__all__ = ["next_step", "to_close"]


def next_step(
    goal: Goal,
    held: int,
    orders: Sequence[Order],
    *,
    now: datetime,
    chase_s: float,
    rest_s: float,
    may_enter: bool = True,
    limit: int | None = None,
    refused: Mapping[str, OrderRequest] | None = None,
) -> Step:
    """Return the one next step for a ledger.

    Args:
        goal: What is wanted, its stop on the tick grid.
        held: The ledger's signed units.
        orders: Today's orders of this (strategy, account, instrument, product), in any state.
        now: Real time.
        chase_s: Seconds an exit may rest before it is cancelled and worked out anew.
        rest_s: Seconds an entry may rest before what is left of it is cancelled.
        may_enter: Whether the mode lets entries work; if not, a resting one is cancelled at once.
        limit: The largest quantity of one order: what is above it goes in slices (R3).
        refused: The last change of a stop that the broker refused, by client order id.
    """
    live = [order for order in orders if order.state in LIVE_STATES]
    # Whatever is sent beside an order of unknown fate could double it; reconciliation settles it
    # within seconds, and this is asked again (I2, reliability.md 2.1).
    if any(order.state in UNKNOWN_STATES for order in orders):
        return Wait()
    excess = to_close(goal.quantity, held)
    # In this order: exits that could oversell, then what is held too much, then entries, and the
    # stop last, because its size depends on all of them. One step at a time, since each changes
    # what the next is worked out from.
    surplus = _surplus_exit(live, excess)
    if surplus:
        return surplus
    if excess:
        return _reduce(held, excess, orders, live, now=now, chase_s=chase_s, limit=limit)
    leftover = _overdue_entry(orders, goal, now=now, rest_s=rest_s if may_enter else 0)
    if leftover:
        return leftover
    stops = [order for order in orders if order.purpose is Purpose.STOP]
    wait = _backoff([order for order in stops if order.run_id == goal.run_id], limit, now=now)
    return protect(
        goal, held, stops, wait=wait, now=now, chase_s=chase_s, limit=limit, refused=refused
    )


def _surplus_exit(live: list[Order], excess: int) -> Step | None:
    """Cancel an exit that would close more than is asked for: one came back, or was overtaken."""
    exits = [order for order in live if order.purpose is Purpose.EXIT]
    if sum(order.leaves_quantity for order in exits) > excess:
        return cancelled(exits[-1], "closes more than is held")
    return None


def to_close(wanted: int, held: int) -> int:
    """Units to close so that what is held goes no further than what is wanted."""
    if held == 0:
        return 0
    # A goal on the other side keeps nothing: a reversal is an exit here, and its entry is an intent
    # of the run that waits until the ledger is flat.
    keep = abs(wanted) if (wanted > 0) == (held > 0) and wanted != 0 else 0
    return max(0, abs(held) - keep)


def _reduce(
    held: int,
    excess: int,
    orders: Sequence[Order],
    live: list[Order],
    *,
    now: datetime,
    chase_s: float,
    limit: int | None,
) -> Step:
    # An entry that still fills would be left over after the exit.
    for order in live:
        if order.purpose is Purpose.ENTRY:
            return cancelled(order, MAKES_WAY)
    exits = [order for order in orders if order.purpose is Purpose.EXIT]
    stops = [order for order in live if order.purpose is Purpose.STOP]
    working = [order for order in live if order.purpose is Purpose.EXIT]
    if working:
        closing = sum(order.leaves_quantity for order in [*working, *stops])
        if stops and closing > abs(held):
            # One of them came back from the dead: both would close the same units (C6). A stop for
            # units that no exit closes yet stays, until the slice that closes them may go (R6).
            return cancelled(stops[0], MAKES_WAY)
        step = _beside(held, excess, exits, working, now=now, chase_s=chase_s, limit=limit)
        return _after_stops(step, stops) if isinstance(step, PlaceExit) else step
    wait = _backoff(exits, limit, now=now)
    if wait is not None:
        # Between two tries of an exit the units are covered as they were before it (R6).
        back = restored_stop(held, orders, limit) if _came_to_nothing(exits) else None
        return _paced(back, wait, orders, limit, now=now) if back else wait
    return _after_stops(_exit(held, excess, exits, limit), stops)


def _paced(
    back: PlaceStop, wait: Wait, orders: Sequence[Order], limit: int | None, *, now: datetime
) -> Step:
    """Return the stop that is put back, or how long to wait for it after some came to nothing.

    What takes no exit often takes no stop: one in every turn would use up the day's allowance.
    """
    due = retry_at([order for order in orders if order.purpose is Purpose.STOP], limit, now)
    if due is None or now >= due:
        return back
    return Wait(due if wait.until is None else min(due, wait.until))


def _after_stops(step: PlaceExit, stops: Sequence[Order]) -> Step:
    """Return the cancel of a stop that rests in an exit's way, or the exit.

    A resting stop and an exit would close the same units twice (C6), and only its final state
    shows how much is left to close. It is cancelled once the exit behind it is allowed to go.
    """
    for order in stops:
        if order.state is OrderState.PENDING_CANCEL:
            continue
        return Cancel(order, MAKES_WAY, step, tuple(one.client_order_id for one in stops))
    return Wait() if stops else step


def _exit(held: int, units: int, exits: Sequence[Order], limit: int | None) -> PlaceExit:
    """Return the next exit for so many units: all of them, or a slice."""
    size = units if limit is None else min(units, limit)
    return PlaceExit(Side.of(-held), size, len(exits) + 1)


def _beside(
    held: int,
    excess: int,
    exits: Sequence[Order],
    working: list[Order],
    *,
    now: datetime,
    chase_s: float,
    limit: int | None,
) -> Step:
    """Return what is next while exits work: one that rested too long goes, another slice comes."""
    pending = [order for order in working if order.state is OrderState.PENDING_CANCEL]
    # A market order with protection rests as a limit order where the price has run away. It is
    # cancelled and not changed: the next one is sized from what is left by then (D7).
    dues = []
    for order in working:
        if order not in pending:
            due = chase_at(order, exits, chase_s)
            if is_over(due, _left_at(order), now):
                return Cancel(order, RESTED)
            dues.append(due)
    wait = _backoff(exits, limit, now=now)
    left = excess - sum(order.leaves_quantity for order in working)
    if limit is not None and left > 0 and not pending and wait is None:
        return _exit(held, left, exits, limit)
    return Wait(min([*dues, *([wait.until] if wait and wait.until else [])], default=None))


def _came_to_nothing(exits: Sequence[Order]) -> bool:
    """Whether the newest exit came to nothing for longer than a moment.

    The first that the broker was too busy for is not: the next goes out within seconds.
    """
    ended = sorted(
        (order for order in exits if order.state in CLOSED_STATES),
        key=lambda order: (order.created_at, order.attempt),
    )
    if not ended:
        return False
    return ended[-1].state is not OrderState.DENIED or (
        len(ended) > 1 and ended[-2].state is OrderState.DENIED
    )


def _backoff(attempts: Sequence[Order], limit: int | None, *, now: datetime) -> Wait | None:
    """Return how long to wait after orders that came to nothing; None when the next may go now."""
    due = retry_at(attempts, limit, now)
    return Wait(due) if due is not None and now < due else None


def _overdue_entry(
    orders: Sequence[Order], goal: Goal, *, now: datetime, rest_s: float
) -> Step | None:
    entries = [order for order in orders if order.purpose is Purpose.ENTRY]
    mine = [order for order in entries if order.run_id == goal.run_id]
    # Of a goal that was trimmed under it the rest would be sold again as it fills. Counted by the
    # orders alone: what is held was read a moment later, and may hold a fill that they do not.
    exceeds = sum(o.filled_quantity + o.leaves_quantity for o in mine) > abs(goal.quantity)
    for order in entries:
        if order.state not in LIVE_STATES:
            continue
        # What rests when its signal is over would fill at a price that no run decided on.
        wrong_way = goal.quantity == 0 or (goal.quantity > 0) is not (
            order.request.side is Side.BUY
        )
        unwanted = wrong_way or (exceeds and order.run_id == goal.run_id)
        due = _left_at(order) + timedelta(seconds=rest_s)
        if unwanted or is_over(due, _left_at(order), now):
            return cancelled(order, "no longer wanted" if unwanted else RESTED)
    return None


def _left_at(order: Order) -> datetime:
    return order.submitted_at or order.created_at
