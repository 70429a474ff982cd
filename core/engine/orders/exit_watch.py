"""Says what becomes of an exit that cannot go or does not get through, each thing once (R3).

An exit that waits for the open is announced; one that is not through after ``stuck_s`` is a notice
of its own with the reason, and so is its end. What was said is remembered by the nonce of its
transaction, so that a restart repeats nothing.
"""

from __future__ import annotations

from core.domain.converge import to_close
from core.domain.goal import Goal
from core.domain.instrument import Instrument
from core.domain.notices.exits import ExitWaits
from core.domain.notices.notice import Notice
from core.domain.notices.post import Post
from core.domain.order import Side
from core.domain.steps import Cancel, PlaceExit, PlaceStop, Step
from core.engine.orders.market_hours import MarketHours
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.store import Store, StoreView

__all__ = ["ExitWatch"]


class ExitWatch:
    """Watches the exits of one account."""

    def __init__(self, store: Store, outbox: Outbox, hours: MarketHours) -> None:
        self._store = store
        self._outbox = outbox
        self._hours = hours

    async def wait_for_open(
        self, goal: Goal, held: int, step: Step, known: Instrument | None
    ) -> None:
        """Say that what the goal asks for is sent at the open, once for each decision."""
        excess = to_close(goal.quantity, held)
        if isinstance(step, PlaceExit) or (excess and isinstance(step, Cancel)):
            order, is_stop = order_words(goal, held, excess), False
        elif isinstance(step, PlaceStop):
            order, is_stop = order_words(goal, held, step.quantity), True
        else:
            return
        opens_at = self._hours.opens_at(goal.instrument, known)
        notice = ExitWaits(goal.broker_id, order, is_stop, opens_at)
        what = "stop" if is_stop else "exit"
        await self._post_once(f"waits:{what}|{goal.key}|{goal.run_id}", notice)

    async def _post_once(self, nonce: str, notice: Notice) -> None:
        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return


def order_words(goal: Goal, held: int, units: int) -> str:
    """Return the order that closes so many units: ``SELL 10 NSE:SBIN MIS``."""
    return f"{Side.of(-held).value} {units} {goal.instrument} {goal.product.value}"
