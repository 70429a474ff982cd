"""Says what becomes of an exit that cannot go or does not get through, each thing once (R3).

An exit that waits for the open is announced; one that is not through after ``stuck_s`` is a notice
of its own with the reason, which goes when it is through: its result is told. What was said of a
goal stands in the goal, so that a restart neither repeats it nor forgets its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from core.domain.backoff import RESTED
from core.domain.converge import to_close
from core.domain.goal import Goal
from core.domain.instrument import Instrument
from core.domain.notices.exits import ExitStuck, ExitThrough, ExitWaits
from core.domain.notices.post import stuck_card, stuck_removal
from core.domain.order import (
    LIVE_STATES,
    MANUAL,
    UNKNOWN_STATES,
    Order,
    OrderState,
    Purpose,
    Side,
)
from core.domain.protection import exits_of_held
from core.domain.steps import Cancel, PlaceExit, PlaceStop, Step
from core.domain.stops import MAKES_WAY
from core.engine.orders.alarms import AlarmCause, Until, raise_alarm
from core.engine.orders.circuit import CircuitLimits
from core.engine.orders.goals import mark_stuck
from core.engine.orders.market_hours import MarketHours
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["AT_CIRCUIT", "ExitWatch", "why_ended"]

AT_CIRCUIT = "the price stands at its circuit limit; the order keeps its place there"
"""Why an exit that rests is not through."""


class ExitWatch:
    """Watches the exits of one account."""

    def __init__(
        self, store: Store, clock: Clock, outbox: Outbox, hours: MarketHours, *, stuck_s: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._hours = hours
        self._stuck_after = timedelta(seconds=stuck_s)
        self._limits = CircuitLimits(clock)
        self._since: dict[str, tuple[str, datetime]] = {}

    async def wait_for_open(
        self, goal: Goal, held: int, step: Step, known: Instrument | None
    ) -> None:
        """Say that what the goal asks for is sent at the open, once for each decision."""
        excess = to_close(goal.quantity, held)
        if isinstance(step, PlaceExit) or (excess and isinstance(step, Cancel)):
            order, is_stop = _order_words(goal, held, excess), False
        elif isinstance(step, PlaceStop):
            order, is_stop = _order_words(goal, held, step.quantity), True
        else:
            return
        opens_at = self._hours.opens_at(goal.instrument, known)
        notice = ExitWaits(goal.broker_id, order, is_stop, opens_at)
        what = "stop" if is_stop else "exit"
        until = Until.COVERED if is_stop else Until.NOT_CLOSING
        cause = AlarmCause(until, str(goal.instrument), (goal.key,), goal.run_id)
        await self._alarm_once(f"waits:{what}|{goal.key}|{goal.run_id}", notice, cause)

    async def look(
        self, goal: Goal, held: int, orders: Sequence[Order], *, is_open: bool
    ) -> datetime | None:
        """Say that an exit is not through, or that it is; return when to look again.

        Args:
            goal: What is wanted.
            held: Signed units held.
            orders: Today's orders of the ledger.
            is_open: Whether the exit may go now, as far as hours and gate say.
        """
        excess = to_close(goal.quantity, held)
        if not excess:
            self._since.pop(goal.key, None)
            if goal.stuck:
                await self._say_through(goal)
            return None
        if not is_open:
            # What does not trade is not stuck; at the open its time begins.
            self._since.pop(goal.key, None)
            return None
        due = self._begun(goal, orders) + self._stuck_after
        if self._clock.now() < due:
            return due
        if goal.stuck != goal.run_id:
            notice = ExitStuck(
                goal.broker_id,
                _order_words(goal, held, excess),
                self.why(orders),
                "" if goal.strategy == MANUAL else goal.strategy,
            )
            await self._say_stuck(goal, notice)
        return None

    async def keeps_place(self, client: BrokerClient, step: Step) -> bool:
        """Return whether an exit that rested too long stands at a circuit limit, and so stays."""
        is_chase = isinstance(step, Cancel) and step.reason == RESTED
        if not isinstance(step, Cancel) or not is_chase or step.order.purpose is not Purpose.EXIT:
            return False
        return await self._limits.keeps(client, step.order)

    async def ask_limit(self, client: BrokerClient, order: Order) -> None:
        """Ask whether an exit that rests stands at a circuit limit, for who wants to know why."""
        await self._limits.keeps(client, order)

    def _begun(self, goal: Goal, orders: Sequence[Order]) -> datetime:
        """Return since when this decision's exit has been wanted, as far as it is known."""
        run_id, since = self._since.get(goal.key, ("", self._clock.now()))
        if run_id != goal.run_id:
            since = self._clock.now()
        # One that has filled is no sign that what is left could not go since then.
        tried = [
            order.created_at
            for order in orders
            if _is_exit(order) and order.run_id == goal.run_id and not _has_filled(order)
        ]
        since = min([since, *tried])
        self._since[goal.key] = (goal.run_id, since)
        return since

    def why(self, orders: Sequence[Order]) -> str:
        """Return why an exit is not through, by the orders of its ledger."""
        if any(order.state in UNKNOWN_STATES for order in orders):
            return "the broker's answer to an order is not known yet"
        live = [order for order in orders if order.state in LIVE_STATES]
        for order in live:
            # One that was never asked to go rests beside the exit, or until that may go.
            is_asked = order.state is OrderState.PENDING_CANCEL or order.reason == MAKES_WAY
            if not _is_exit(order) and is_asked:
                return f"its {order.purpose.value} is in the way, and its cancel is not confirmed"
        live = [order for order in live if _is_exit(order)]
        for order in live:
            # One that works on with a reason to go was asked to, and that had no effect.
            if order.state is OrderState.PENDING_CANCEL or order.cancel_reason:
                return (
                    "a cancel of the exit that rests was sent, but the exchange does not cancel it"
                )
            if self._limits.is_kept(order):
                return AT_CIRCUIT
        if live:
            return "the broker has taken the order, and it does not fill"
        ended = [order for order in exits_of_held(orders) if not _has_filled(order)]
        newest = max(ended, key=lambda order: (order.created_at, order.attempt), default=None)
        if newest is None:
            return "no order could be sent yet"
        return why_ended(newest) or "the exit came to nothing"

    async def _say_stuck(self, goal: Goal, notice: ExitStuck) -> None:
        async def body(view: StoreView) -> None:
            if await mark_stuck(view, goal, goal.run_id):
                await self._outbox.post(view, stuck_card(notice, goal.key))

        since = self._since[goal.key][1].isoformat()
        nonce = f"exit-stuck:{goal.key}|{goal.run_id}|{since}"
        await self._transact(body, nonce)

    async def _say_through(self, goal: Goal) -> None:
        notice = ExitThrough(goal.broker_id, f"{goal.instrument} {goal.product.value}")

        async def body(view: StoreView) -> None:
            if await mark_stuck(view, goal, ""):
                await self._outbox.post(view, stuck_removal(notice, goal.key))

        nonce = f"exit-through:{goal.key}|{goal.stuck}|{self._clock.now().isoformat()}"
        await self._transact(body, nonce)

    async def _alarm_once(self, nonce: str, notice: ExitWaits, cause: AlarmCause) -> None:
        async def body(view: StoreView) -> None:
            await raise_alarm(view, self._outbox, notice.broker_id, notice, cause)

        await self._transact(body, nonce)

    async def _transact(self, body: Callable[[StoreView], Awaitable[None]], nonce: str) -> None:
        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return


def why_ended(order: Order) -> str:
    """Return why an order came to nothing, a sentence without its full stop; '' if nobody says."""
    if order.reason:
        return order.reason.removesuffix(".")
    is_ours = bool(order.cancel_reason) or order.state is not OrderState.CANCELED
    return "" if is_ours else "it was cancelled at the broker, not by me"


def _is_exit(order: Order) -> bool:
    return order.purpose is Purpose.EXIT


def _has_filled(order: Order) -> bool:
    return order.state is OrderState.FILLED


def _order_words(goal: Goal, held: int, units: int) -> str:
    """Return the order that closes so many units: ``Sell 10 NSE:SBIN MIS``."""
    return f"{Side.of(-held).word} {units} {goal.instrument} {goal.product.value}"
