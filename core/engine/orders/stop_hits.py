"""A stop that is hit and has not closed its position: the position is closed at the market (R7).

The goal becomes flat under a run of its own, in one commit with its card and its notice; the
executor pursues it as every exit. Asked for by the executor (a stop that rests although it has
triggered, one that is refused because the price is through it) and by the watch of software stops.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.goal import Goal
from core.domain.money import rupees
from core.domain.notices.post import stop_hit_card
from core.domain.notices.protection import StopHit
from core.domain.sessions import trading_day
from core.engine.orders.goals import Flattening, flatten, goal_at
from core.engine.orders.ledgers import ledger_at
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["StopHits"]


class StopHits:
    """Turns the goals of hit stops to flat."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox

    async def close(self, goal: Goal, trigger: Decimal, how: str) -> bool:
        """Close what a goal holds, once; return whether this call set it to flat."""
        now = self._clock.market_now()
        day = trading_day(now)
        decision = Flattening(
            f"{goal.strategy}|{now:%Y-%m-%dT%H:%M:%S}|stop|{goal.broker_id}|{goal.instrument}",
            "stop",
            goal.strategy,
            goal.broker_id,
            day,
            self._clock.now(),
            now,
            note=f"{goal.instrument}, stop {rupees(trigger)}: {how}.",
        )

        async def body(view: StoreView) -> bool:
            ledger = await ledger_at(view, goal.key)
            current = await goal_at(view, goal.key)
            # Decided meanwhile by somebody else: a run, the square-off, a user.
            if not ledger or not ledger.quantity or not current or current.run_id != goal.run_id:
                return False
            await flatten(view, self._outbox, [ledger], decision)
            instrument = str(goal.instrument)
            notice = StopHit(
                goal.broker_id, goal.strategy, instrument, ledger.quantity, trigger, how
            )
            await self._outbox.post(view, stop_hit_card(notice, decision.run_id))
            return True

        try:
            return await self._store.transaction(
                body, nonce=f"stop-hit:{goal.key}|{goal.run_id}|{decision.run_id}"
            )
        except AlreadyDone:
            return False
