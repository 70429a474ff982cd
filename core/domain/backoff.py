"""How long an exit or a stop waits after others came to nothing, or rested unfilled. Pure.

Giving up is no choice, for the position is still open; each try costs order rate and may lose a
place in the queue, so the pauses grow and then stay as they are. Slices that were at work together
are one try: what counts is how often it was tried, not in how many orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from core.domain.order import CLOSED_STATES, Order, OrderState, Purpose
from core.domain.slicing import was_too_large

__all__ = ["RESTED", "chase_at", "is_over", "retry_at"]

RESTED = "rested too long"
"""Why an exit is cancelled that did not fill, to be worked out anew."""
_AFTER_FAILURES_S = (0, 2, 5, 10, 20, 30, 60)
_CHASES_AS_EVER = 2
_LONGEST_REST = 8
_SET_BACK = timedelta(seconds=5)
"""So far ahead no time of an order lies but where the machine's clock was set back since (K01)."""


def is_over(due: datetime, since: datetime, now: datetime) -> bool:
    """Whether a wait is over: at its end, or where nobody knows how long it has been.

    A clock that is set back by hours must not hold an exit up until it is as late again.
    """
    return now >= due or _is_ahead(since, now)


def _is_ahead(at: datetime, now: datetime) -> bool:
    return at - now > _SET_BACK


def retry_at(attempts: Sequence[Order], limit: int | None, now: datetime) -> datetime | None:
    """Return when the next may go after orders that came to nothing; None when none did.

    An order that filled, even in part, or that we have cancelled ends the series. An exit that
    somebody else cancels, the exchange at once or a person, came to nothing as a refused one. What
    follows the cancel of a stop has a rule of its own (``core.domain.stops``).

    Args:
        attempts: Orders of one purpose of a ledger, of today.
        limit: The largest quantity of one order: a refusal of more is answered by smaller ones.
        now: Real time. What ended later, by a clock that was set back since, is over.
    """
    ended = sorted(
        (order for order in attempts if order.state in CLOSED_STATES),
        key=lambda order: (order.created_at, order.attempt),
    )
    ended = [order for order in ended if not _is_answered(order, limit)]
    # Only orders that were refused, lost or taken away count. A broker that refuses an exit will
    # refuse it again in a second.
    failed: list[Order] = []
    for order in reversed(ended):
        if order.filled_quantity or _is_own_cancel(order):
            break
        failed.append(order)
    if not failed:
        return None
    pause = _AFTER_FAILURES_S[min(_rounds(failed), len(_AFTER_FAILURES_S) - 1)]
    # From its end, not its start: the answer may have taken as long as the pause.
    ends = [end for end in map(_end_of, failed) if not _is_ahead(end, now)]
    return max(ends) + timedelta(seconds=pause) if ends else None


def _rounds(orders: Iterable[Order]) -> int:
    """Return how many of these closed orders were at work one after another, at most.

    Of orders whose lives overlap one counts. Not by chains of overlaps: the first slice of a round
    goes out while the last of the round before still rests.
    """
    rounds = 0
    last: Order | None = None
    for order in sorted(orders, key=_end_of):
        is_beside = last is not None and (
            order.created_at < _end_of(last) or order.created_at == last.created_at
        )
        if not is_beside:
            rounds += 1
            last = order
    return rounds


def _end_of(order: Order) -> datetime:
    return order.settled_at or order.created_at


def _is_own_cancel(order: Order) -> bool:
    is_own = bool(order.cancel_reason) or order.purpose is not Purpose.EXIT
    return order.state is OrderState.CANCELED and is_own


def _is_answered(order: Order, limit: int | None) -> bool:
    return was_too_large(order) and limit is not None and order.request.quantity > limit


def chase_at(working: Order, exits: Sequence[Order], chase_s: float) -> datetime:
    """Return when an exit that rests is cancelled and worked out anew (D7).

    The first two rest ``chase_s``: the price has run away from their protection. Where the next
    rest as well, the market does not trade (a circuit limit, a line that is down), and an order
    that is sent anew only loses its place in the queue.

    Args:
        working: The exit that rests.
        exits: Exits of the ledger, of today.
        chase_s: How long the first rests.
    """
    rested: list[Order] = []
    newest_first = sorted(exits, key=lambda order: (order.created_at, order.attempt), reverse=True)
    for order in newest_first:
        if order.state not in CLOSED_STATES:
            continue
        if order.run_id != working.run_id or order.cancel_reason != RESTED or order.filled_quantity:
            break
        if _end_of(order) <= working.created_at:  # no slice beside it
            rested.append(order)
    times = min(2 ** max(0, _rounds(rested) - _CHASES_AS_EVER + 1), _LONGEST_REST)
    since = working.submitted_at or working.created_at
    return since + timedelta(seconds=chase_s * times)
