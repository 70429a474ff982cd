"""Orders that Saarthi sent before its journal was restored from an older backup (D04).

Such an order carries a tag of ours that the journal lacks. The tag is made of what the order was
for, so it proves whose stop it is: no other intent has that id. What it does not prove stays with
nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.domain.broker import BrokerOrder
from core.domain.goal import Goal
from core.domain.identifiers import client_order_id, is_client_order_id
from core.domain.ledger import Ledger
from core.domain.matching import state_of
from core.domain.order import EXTERNAL, LIVE_STATES, Order, OrderType, Purpose, Side

__all__ = ["attempt_of_stop", "is_regained", "was_sent_by_us", "why_it_waits"]

_STOPS = {OrderType.SL, OrderType.SL_M}
_ATTEMPTS = 20
_FROM, _UNTIL = 9 * 60, 24 * 60


def was_sent_by_us(order: Order) -> bool:
    """Whether an order that was adopted as nobody's carries a tag of ours."""
    return order.strategy == EXTERNAL and is_client_order_id(order.client_order_id)


def is_regained(order: Order) -> bool:
    """Whether a stop was adopted for its ledger: this journal never sent it."""
    return (
        order.purpose is Purpose.STOP
        and order.submitted_at is None
        and order.broker_order_id is not None
    )


def attempt_of_stop(
    seen: BrokerOrder, goal: Goal, ledger: Ledger, stops: Iterable[Order], day: str
) -> int | None:
    """Return which attempt of a ledger's stop an order that works is; None where it is not proved.

    Not one for more units than the ledger has uncovered: it would be made smaller, and what was
    bought since the backup would lose its protection.

    Args:
        seen: At the broker, tagged by us.
        goal: What the ledger is to hold.
        ledger: Of the backup.
        stops: Working orders of the ledger that would reduce it.
        day: The trading day.
    """
    if seen.order_type not in _STOPS or seen.trigger_price is None:
        return None
    if state_of(seen) not in LIVE_STATES or seen.side is not Side.of(-ledger.quantity):
        return None
    covered = sum(order.leaves_quantity for order in stops)
    left = seen.quantity - seen.filled_quantity
    if not ledger.quantity or covered + left > abs(ledger.quantity):
        return None
    leg = f"{ledger.instrument}|{ledger.product}|{Purpose.STOP}"
    for run_id in _runs(goal, day):
        for attempt in range(1, _ATTEMPTS + 1):
            ids = (ledger.broker_id, ledger.strategy, f"{day}|{run_id}", leg)
            if client_order_id(*ids, attempt) == seen.tag:
                return attempt
    return None


def _runs(goal: Goal, day: str) -> Iterator[str]:
    """Yield the runs that may have set the goal: that of the backup, or one of today's slots."""
    yield goal.run_id
    for minute in range(_FROM, _UNTIL):
        run_id = f"{goal.strategy}|{day}T{minute // 60:02}:{minute % 60:02}"
        yield run_id
        yield f"{run_id}|{goal.broker_id}"


def why_it_waits(orders: Sequence[Order], what: str) -> str:
    """Return the sentence for an exit that waits for orders of nobody's that close its units.

    Args:
        orders: They work at the broker.
        what: Side, units and instrument.
    """
    whose = "your own"
    if all(was_sent_by_us(order) for order in orders):
        whose = "an order that Saarthi sent before the restore,"
    elif any(was_sent_by_us(order) for order in orders):
        whose = "orders of yours and some that Saarthi sent before the restore, together"
    return (
        f"{whose} {what} rests at the broker and would close the same units; cancel it or let it "
        "fill"
    )
