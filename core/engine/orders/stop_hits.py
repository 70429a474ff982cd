"""A stop that is hit and has not closed its position: the position is closed at the market (R7).

The goal becomes flat under a run of its own, in one commit with its card and its notice; the
executor pursues it as every exit. Asked for by the executor (a stop that rests although it has
triggered, one that is refused because the price is through it) and by the watch of software stops.

A stop from an earlier day is believed once the last close is known in today's prices: after a split
or a bonus the price seems to be through it, and nothing is closed by it.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from decimal import Decimal

from core.domain.goal import Goal, NoRest
from core.domain.money import rupees
from core.domain.notices.post import stop_hit_card
from core.domain.notices.protection import StopHit
from core.domain.rebased import is_of_other_scale, why_not_closed
from core.domain.sessions import trading_day
from core.engine.orders.goals import Flattening, flatten, goal_at, leave_without_stop
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.prices import Prices
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["StopHits"]

_PATIENCE = timedelta(seconds=15)
"""How long a carried stop waits for the last close: prices of stops are asked for each 3 s."""


class StopHits:
    """Turns the goals of hit stops to flat."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, prices: Prices) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._prices = prices
        self._asked_at: dict[tuple[str, Decimal], float] = {}

    async def close(self, goal: Goal, trigger: Decimal, how: str) -> bool:
        """Close what a goal holds, once; return whether this call set it to flat."""
        now = self._clock.market_now()
        day = trading_day(now)
        if (goal.stop_day or goal.day) < day and not await self._is_of_today(goal, trigger, day):
            return False
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

    async def _is_of_today(self, goal: Goal, trigger: Decimal, day: str) -> bool:
        """Whether a carried stop is of today's prices; one that is not is left, and named."""
        close = self._prices.close_of(goal.instrument)
        if close is None or trading_day(self._clock.market_at(close.at)) != day:
            now = self._clock.monotonic()
            since = self._asked_at.setdefault((goal.run_id + goal.key, trigger), now)
            # Where nobody names one, a stop protects as ever.
            return now - since >= _PATIENCE.total_seconds()
        if not is_of_other_scale(trigger, goal.quantity, close.last):
            return True
        reason = why_not_closed(trigger, close.last)

        async def body(view: StoreView) -> None:
            current = await goal_at(view, goal.key)
            if current and (current.run_id, current.stop_price) == (goal.run_id, goal.stop_price):
                await leave_without_stop(view, goal.key, NoRest.REBASED, reason)

        with contextlib.suppress(AlreadyDone):
            await self._store.transaction(body, nonce=f"rebased:{goal.key}|{goal.run_id}|{trigger}")
        return False
