"""An account's exits that can leave with the commit of the run that decides them (decision 44).

A run's exits are otherwise worked out by each account's worker, in the turn that the run wakes it
for. Where the worker would send one exit at once and has nothing else to do, this says which.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.domain.converge import next_step, to_close
from core.domain.goal import Goal
from core.domain.instrument import Instrument
from core.domain.order import Purpose
from core.domain.sessions import trading_day
from core.domain.slicing import largest_order
from core.domain.steps import PlaceExit
from core.engine.orders.gate import gate_at, is_pursued
from core.engine.orders.gateway import Ticket
from core.engine.orders.journal import orders_in
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.looks import Looks
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.pauses import Pauses, key_of
from core.engine.orders.steps import Steps
from core.ports.clock import Clock
from core.ports.store import StoreView

__all__ = ["ExitTimes", "RunExits"]


@dataclass(frozen=True, slots=True)
class ExitTimes:
    """How long an exit (``chase_s``) and an entry (``rest_s``) may rest, in real seconds."""

    chase_s: float
    rest_s: float


class RunExits:
    """Looks for the exits of one account that could leave now.

    ``denied`` holds the ledgers whose exit was denied when last tried, by key.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        clock: Clock,
        hours: MarketHours,
        pauses: Pauses,
        steps: Steps,
        looks: Looks,
        denied: Collection[str],
        times: ExitTimes,
    ) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._hours = hours
        self._pauses = pauses
        self._steps = steps
        self._looks = looks
        self._denied = denied
        self._times = times

    async def ticket(
        self, view: StoreView, goal: Goal, known: Instrument | None, *, heard: int
    ) -> Ticket | None:
        """Return the exit that takes a ledger to its goal, as the worker would submit it now.

        Args:
            view: The transaction that sets the goal.
            goal: Set by a run, in this transaction.
            known: The broker's instrument.
            heard: How many order updates have come.

        Returns:
            None when the worker has to look first, or anything but one whole exit comes next.
        """
        gate = await gate_at(view, self._broker_id)
        if gate is None or not is_pursued(goal, gate) or not self._may_go(goal, known):
            return None
        today = trading_day(self._clock.market_now())
        same = await orders_in(view, self._broker_id, goal.instrument, today)
        ledger = await ledger_at(view, goal.key)
        held = ledger.quantity if ledger else 0
        step = next_step(
            goal,
            held,
            [order for order in same if key_of(order) == goal.key],
            now=self._clock.now(),
            chase_s=self._times.chase_s,
            rest_s=self._times.rest_s,
            limit=largest_order(known, same),
        )
        if not isinstance(step, PlaceExit) or step.quantity != to_close(goal.quantity, held):
            return None
        # Without it the exit waits for a read, and this is a transaction.
        look = await self._looks.at_hand(goal.instrument, goal.product, heard)
        order = self._steps.order(goal, Purpose.EXIT, step.side, step.quantity, step.attempt, today)
        # The broker has one of that id from before the journal was restored: the worker finds out.
        is_known = any(one.client_order_id == order.client_order_id for one in same)
        if look is None or is_known:
            return None
        return Ticket(order, held=look)

    def _may_go(self, goal: Goal, known: Instrument | None) -> bool:
        """Whether nothing asks an exit to wait, and its instrument trades now."""
        if goal.by_user or goal.key in self._denied or self._pauses.until(goal.key):
            return False
        return self._hours.is_open(goal.instrument, known)
