"""Carrying out one step towards a goal: an exit, a stop, a change, a cancel.

``core.domain.converge`` says what the step is; here it becomes a request to the broker, through the
gateway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.goal import Goal, NoRest
from core.domain.identifiers import client_order_id
from core.domain.instrument import Instrument, InstrumentId
from core.domain.money import round_to_tick, rupees
from core.domain.notices.accounts import SoftwareStop
from core.domain.notices.notice import Notice
from core.domain.notices.orders import CancelRefused
from core.domain.notices.protection import ExitDenied, StopCancelled, StopRestored
from core.domain.order import EXTERNAL, Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Acked, Cause, Refused
from core.domain.steps import (
    Cancel,
    GiveUpStop,
    PlaceExit,
    PlaceStop,
    ResizeStop,
    Step,
    StopGone,
    StopPassed,
)
from core.domain.stops import is_price_through
from core.engine.orders.alarms import AlarmCause, Until, raise_alarm
from core.engine.orders.gateway import Gateway, Held, SnapshotStale, Ticket
from core.engine.orders.goals import goal_at, leave_without_stop
from core.engine.orders.looks import Looks
from core.engine.orders.pauses import Pauses, key_of
from core.engine.orders.stop_hits import StopHits
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, Denied
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["CancelLimit", "Steps", "on_tick"]

_LOOKS = 3
_HAS_ENDED = re.compile(
    r"already\s+(?:been\s+)?(?:complete|execut|fill|trade|cancel|reject)", re.IGNORECASE
)
"""Words by which a broker refuses to change an order that is no more."""
_IN_VAIN = 3
"""So often a stop is asked to be smaller, then it is cancelled: it never became so."""
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class CancelLimit:
    """How often a cancel that the broker refuses is repeated, and for how long that counts."""

    refusals: int
    forget_s: float


class Steps:
    """Carries out the steps of one account."""

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        gateway: Gateway,
        outbox: Outbox,
        looks: Looks,
        pauses: Pauses,
        cancel_limit: CancelLimit,
        hits: StopHits,
    ) -> None:
        self._broker_id = broker_id
        self._store = store
        self._clock = clock
        self._gateway = gateway
        self._outbox = outbox
        self._looks = looks
        self._pauses = pauses
        self._cancel_limit = cancel_limit
        self._hits = hits
        self.refused_changes: dict[str, OrderRequest] = {}
        """The last change that the broker refused, by the stop's client order id."""
        self._asked_for_less: Counter[tuple[str, int]] = Counter()
        """How often a stop was to be made so small: by its client order id and the units."""
        self._taken_cancels: Counter[str] = Counter()
        self._refused_cancels: dict[str, tuple[int, float]] = {}
        self.denials: dict[str, Denied] = {}
        """Why a run's exits were denied when last tried, by run id; shown to a user who waits."""
        self._taken: set[str] = set()

    async def carry_out(
        self,
        client: BrokerClient,
        goal: Goal,
        step: Step,
        today: str,
        master: Mapping[InstrumentId, Instrument],
        why: str = "",
    ) -> bool:
        """Carry out one step towards a goal; return whether anything was sent.

        Args:
            client: The account's client.
            goal: What is wanted.
            step: What is next.
            today: The trading day.
            master: The broker's instruments.
            why: Why an exit came to nothing, for a stop that is put back.

        Raises:
            Denied: By the gate or a limit, or as the broker does not cancel what is in the way.
            WriteRefused: The broker refused a write because of the login or the permissions.
        """
        match step:
            case Cancel(order, reason, behind, going):
                if behind is not None:
                    exit_ = self.order(
                        goal, Purpose.EXIT, behind.side, behind.quantity, behind.attempt, today
                    )
                    await self._clear(client, goal, exit_, going)
                return await self._cancel(client, order, reason)
            case PlaceExit(side, quantity, attempt):
                order = self.order(goal, Purpose.EXIT, side, quantity, attempt, today)
                await self._reduce(client, goal, order)
                return True
            case PlaceStop(side, quantity, trigger, attempt, is_restored):
                order = self.order(goal, Purpose.STOP, side, quantity, attempt, today)
                trigger = on_tick(trigger, side, master.get(goal.instrument))
                order = replace(
                    order,
                    request=replace(
                        order.request, order_type=OrderType.SL_M, trigger_price=trigger
                    ),
                )
                is_taken = await self._reduce(client, goal, order, is_restored=is_restored)
                if is_restored and is_taken:
                    await self._notify_restored(order, why)
                return True
            case ResizeStop():
                return await self._resize(client, goal, step, master)
            case _:
                return await self._end_stop(goal, step)

    async def _end_stop(self, goal: Goal, step: Step) -> bool:
        """Carry out a step that sends nothing by itself: what became of a stop."""
        match step:
            case GiveUpStop(order):
                reason = order.reason
                notice = SoftwareStop(order.broker_id, str(goal.instrument), reason)
                await self._leave(goal, order, NoRest.REFUSED, reason, notice)
            case StopGone(order, by_person):
                reason = "" if by_person else order.reason or "it ended at the broker"
                why = NoRest.CANCELLED_OUTSIDE if by_person else NoRest.CANCELLED_BY_BROKER
                await self._leave(goal, order, why, reason, _gone(goal, order, reason))
            case StopPassed(order, how):
                trigger = order.request.trigger_price or Decimal(0)
                return await self._hits.close(goal, trigger, how)
        return False

    def order(
        self, goal: Goal, purpose: Purpose, side: Side, quantity: int, attempt: int, today: str
    ) -> Order:
        """Return the order of a step, under an id that the broker does not know yet."""
        leg = f"{goal.instrument}|{goal.product}|{purpose}"
        ids = (self._broker_id, goal.strategy, f"{today}|{goal.run_id}", leg)
        while (cid := client_order_id(*ids, attempt)) in self._taken:
            attempt += 1
        request = OrderRequest(cid, goal.instrument, side, quantity, OrderType.MARKET, goal.product)
        return Order(
            request=request,
            broker_id=self._broker_id,
            strategy=goal.strategy,
            run_id=goal.run_id,
            purpose=purpose,
            state=OrderState.SUBMITTED,
            day=today,
            created_at=self._clock.now(),
            attempt=attempt,
        )

    async def _clear(
        self, client: BrokerClient, goal: Goal, order: Order, going: tuple[str, ...]
    ) -> None:
        """Ask whether an exit may go once ``going`` is cancelled; raises ``Denied`` (R6)."""
        place = (order.request.instrument, order.request.product)
        for _ in range(_LOOKS):
            held = self._looks.take_recent(*place) or await self._looks.look(client, *place)
            try:
                await self._gateway.clear(self._ticket(goal, order, held), going=going)
            except SnapshotStale:
                continue
            return
        raise _moving()

    def _ticket(
        self, goal: Goal, order: Order, held: Held | None, *, is_restored: bool = False
    ) -> Ticket:
        return Ticket(
            order,
            held=held,
            by_user=goal.by_user,
            despite_pause=goal.despite_pause,
            is_restored=is_restored,
        )

    async def _reduce(
        self, client: BrokerClient, goal: Goal, order: Order, *, is_restored: bool = False
    ) -> bool:
        """Submit a reducing order after a fresh read of what the broker holds.

        Returns whether the broker has acknowledged it.

        In EXIT_ONLY nothing goes out without that read; in NORMAL a broker that cannot show its
        positions does not hold back an exit: the ledger alone then bounds it.
        """
        place = (order.request.instrument, order.request.product)
        # Repeated only where nothing was sent: a fill between the read and the gate makes the read
        # stale, and an exit sized by it could sell units that are gone (C3).
        for _ in range(_LOOKS):
            held = self._looks.take_recent(*place) or await self._looks.look(client, *place)
            ticket = self._ticket(goal, order, held, is_restored=is_restored)
            try:
                after, outcome = await self._gateway.submit(client, ticket)
            except SnapshotStale:
                continue
            if not is_restored:
                self.denials.pop(goal.run_id, None)
            self._pauses.note(after, outcome)
            if outcome is None and after.strategy == EXTERNAL:
                # The broker has it from before the journal was restored: the next has another id.
                self._taken.add(after.client_order_id)
            return isinstance(outcome, Acked)
        raise _moving()

    async def _notify_restored(self, stop: Order, why: str) -> None:
        """Say once for each close that its stop is back."""
        request = stop.request
        notice = StopRestored(
            stop.broker_id,
            str(request.instrument),
            request.trigger_price or Decimal(0),
            why or "the exit was not taken",
        )
        await self._alarm_once(
            f"restored:{key_of(stop)}|{stop.run_id}|{stop.day}",
            notice,
            AlarmCause(Until.FLAT, notice.instrument, (key_of(stop),)),
        )

    async def notify_denied(self, goal: Goal, denied: Denied, *, has_stop: bool) -> None:
        """Say once for each close and cause that an exit may not go."""
        notice = ExitDenied(goal.broker_id, str(goal.instrument), denied.reason, has_stop)
        await self._alarm_once(
            f"denied:{goal.key}|{goal.run_id}|{goal.day}|{denied.code}",
            notice,
            AlarmCause(Until.NOT_CLOSING, notice.instrument, (goal.key,), goal.run_id),
        )

    async def _resize(
        self,
        client: BrokerClient,
        goal: Goal,
        step: ResizeStop,
        master: Mapping[InstrumentId, Instrument],
    ) -> bool:
        stop = step.order
        cid = stop.client_order_id
        tick = master.get(stop.request.instrument)
        request = replace(
            stop.request,
            quantity=stop.filled_quantity + step.quantity,
            trigger_price=on_tick(step.trigger_price, stop.request.side, tick),
        )
        if request == stop.request:
            # The trigger differs only below the tick: a change would cost rate in every turn.
            return False
        if self._pauses.until(cid):
            return False
        is_refused = self.refused_changes.get(cid) == request
        times = self._asked_for_less[cid, request.quantity]
        is_less = request.quantity < stop.request.quantity
        if is_less and (is_refused or times >= _IN_VAIN):
            # Hit as it is, it would open a position of what is not held any more (I6).
            return await self._cancel(client, stop, "could not be changed")
        if is_refused:
            return False
        outcome = await self._gateway.resize(client, stop, replace(stop, request=request))
        if self._pauses.hold_back(cid, outcome):
            return False
        if isinstance(outcome, Refused):
            self.refused_changes[cid] = request
            return await self._change_refused(client, goal, stop, request, outcome)
        if is_less:
            self._asked_for_less[cid, request.quantity] = times + 1
        return True

    async def _change_refused(
        self, client: BrokerClient, goal: Goal, stop: Order, request: OrderRequest, refused: Refused
    ) -> bool:
        """Keep a stop that the broker does not move; replace one that covers too much."""
        trigger = request.trigger_price or Decimal(0)
        if refused.cause is Cause.TRIGGER or is_price_through(refused.message):
            how = "the broker did not move it there, as the price is through it"
            return await self._hits.close(goal, trigger, how)
        if request.quantity < stop.request.quantity:
            # Hit as it is, it would open a position of what is not held any more (I6).
            return await self._cancel(client, stop, "could not be changed")
        if _HAS_ENDED.search(refused.message):
            # It filled, or somebody cancelled it, while it was asked to move: the next read says.
            return True
        # Cancelled to be placed anew, it would leave a moment without any (R6): it rests where it
        # is, and the price that is wanted is watched here.
        place = rupees(stop.request.trigger_price or Decimal(0))
        text = f"it stays at {place} there: {refused.message}"
        notice = SoftwareStop(goal.broker_id, str(goal.instrument), text)
        cause = AlarmCause(Until.FLAT, notice.instrument, (goal.key,))
        await self._alarm_once(f"unmoved:{stop.client_order_id}", notice, cause)
        return False

    async def _cancel(self, client: BrokerClient, order: Order, reason: str) -> bool:
        """Ask to cancel; after some refusals of one order the user is notified, once (B05)."""
        now, cid = self._clock.monotonic(), order.client_order_id
        if self._pauses.until(cid):
            return False
        refusals, since = self._refused_cancels.get(cid, (0, now))
        forgotten = now - since > self._cancel_limit.forget_s
        if refusals >= self._cancel_limit.refusals and not forgotten:
            await self._notify_stuck(order)
            raise Denied("CANCEL_LIMIT", "the broker does not cancel an order that is in the way")
        outcome = await self._gateway.cancel(client, order, reason)
        if self._pauses.hold_back(cid, outcome):
            return False
        if isinstance(outcome, Refused):
            self._refused_cancels[cid] = (1 if forgotten else refusals + 1, now)
            return True
        # One that the broker took, or may have taken, and that had no effect is asked for again
        # when reads show that; more and more seldom, for each costs of the day's allowance (B05).
        if times := self._taken_cancels[cid]:
            self._pauses.pause(cid, min(_LONGEST_PAUSE_S, 5.0 * 2**times))
        self._taken_cancels[cid] = times + 1
        return True

    async def _notify_stuck(self, order: Order) -> None:
        notice = CancelRefused(order.client_order_id)
        cause = AlarmCause(Until.ORDER, str(order.request.instrument), (order.client_order_id,))
        await self._alarm_once(f"stuck:{order.client_order_id}", notice, cause)

    async def _alarm_once(self, nonce: str, notice: Notice, cause: AlarmCause) -> None:
        async def body(view: StoreView) -> None:
            await raise_alarm(view, self._outbox, self._broker_id, notice, cause)

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return

    async def _leave(
        self, goal: Goal, order: Order, why: NoRest, reason: str, notice: Notice
    ) -> None:
        """Place no other stop in the place of one that ended, and say so once."""

        async def body(view: StoreView) -> None:
            now = await goal_at(view, goal.key)
            # Set anew meanwhile, by a run or to another price: that stop is asked for.
            if now is None or now.run_id != goal.run_id:
                return
            if now.stop_set_at != goal.stop_set_at and not why.is_by_person:
                return
            await leave_without_stop(view, goal.key, why, reason)
            cause = AlarmCause(Until.COVERED, str(order.request.instrument), (goal.key,))
            await raise_alarm(view, self._outbox, self._broker_id, notice, cause)

        try:
            await self._store.transaction(body, nonce=f"soft:{order.client_order_id}")
        except AlreadyDone:
            return


def _gone(goal: Goal, order: Order, reason: str) -> StopCancelled:
    trigger = order.request.trigger_price or Decimal(0)
    return StopCancelled(goal.broker_id, str(goal.instrument), goal.product.value, trigger, reason)


def _moving() -> Denied:
    return Denied("POSITION_MOVING", "the position keeps changing while it is looked at")


def on_tick(price: Decimal, side: Side, instrument: Instrument | None) -> Decimal:
    """Put a trigger on the tick grid, on the far side: a stop fires no earlier than asked."""
    if instrument is None or instrument.tick_size <= 0:
        return price
    return round_to_tick(price, instrument.tick_size, up=side is Side.BUY)
