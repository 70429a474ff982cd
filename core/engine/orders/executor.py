"""An account's order executor: sends a run's entries, and takes each ledger one step to its goal.

The worker calls ``advance`` under the account's lock. Entries are intents of a committed run and go
out at most once; exits and stops are worked out anew each time by ``core.domain.converge``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.converge import (
    Cancel,
    GiveUpStop,
    Goal,
    PlaceExit,
    PlaceStop,
    ResizeStop,
    Step,
    Wait,
    next_step,
)
from core.domain.identifiers import client_order_id
from core.domain.instrument import Instrument, InstrumentId
from core.domain.ledger import Ledger, ledger_key
from core.domain.mode import TradingMode
from core.domain.money import round_to_tick
from core.domain.notices.accounts import SoftwareStop
from core.domain.notices.orders import CancelRefused, EntriesDropped
from core.domain.notices.post import Post
from core.domain.order import MANUAL, Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import NotSent, Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.engine.orders.gate import Gate, gate_at
from core.engine.orders.gateway import Gateway, SnapshotStale, Ticket, WriteRefused
from core.engine.orders.goals import end_goal, goal_at, goals_of, leave_without_stop
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.looks import Looks
from core.engine.orders.risk import NOTHING_LEFT
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, Denied
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Executor", "ExecutorSettings"]

_log = logging.getLogger(__name__)
_LOOKS = 3
_DENIED_PAUSE_S = 5.0
_PAUSE = timedelta(seconds=1)
_WAITS_FOR_THE_USER = frozenset({Refusal.AUTH_REQUIRED, Refusal.PERMISSION})


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Times of the executor, in real seconds.

    Attributes:
        entry_ttl_s: An entry that could not be sent by then is dropped.
        rest_s: What is left of an entry that rests this long is cancelled.
        chase_s: An exit that rests this long is cancelled and worked out anew.
        cancel_limit: Refused cancels of one order before the user is asked (B05).
        cancel_forget_s: Refusals older than this no longer count.
    """

    entry_ttl_s: float = 60.0
    rest_s: float = 60.0
    chase_s: float = 15.0
    cancel_limit: int = 3
    cancel_forget_s: float = 120.0


class Executor:
    """Sends the orders of one account: entries of runs, and what brings ledgers to their goals."""

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        journal: Journal,
        gateway: Gateway,
        outbox: Outbox,
        settings: ExecutorSettings,
    ) -> None:
        self._broker_id = broker_id
        self._store = store
        self._clock = clock
        self._journal = journal
        self._gateway = gateway
        self._outbox = outbox
        self._settings = settings
        self._not_before: dict[str, datetime] = {}
        self.look_again_at: datetime | None = None
        self._refused_cancels: dict[str, tuple[int, datetime]] = {}
        self.looks = Looks(broker_id, clock, journal)
        self.denials: dict[str, Denied] = {}
        """Why a run's exits were denied when last tried, by run id; shown to a user who waits."""

    async def advance(
        self, client: BrokerClient, master: Mapping[InstrumentId, Instrument]
    ) -> bool:
        """Do what can be done now; return whether anything was sent.

        Raises:
            WriteRefused: The broker refused a write because of the login or the permissions.
            BrokerReadError: With AUTH_REQUIRED when it refused the login of a read.
            StoreUnavailable: Nothing more may be sent.
            LeaseLost: Another controller has taken over.
        """
        gate = await gate_at(self._store, self._broker_id)
        if gate is None:
            return False
        today = trading_day(self._clock.market_now())
        self.look_again_at = None
        # First of all: a held entry must not go out once its login is back (row B10), and an exit
        # that is still held would be sent beside the one that is worked out anew below (I6).
        await self._clear_held()
        sent = await self._entries(client)
        for goal in await goals_of(self._store, self._broker_id):
            if _is_pursued(goal, gate):
                sent |= await self._pursue(client, goal, gate, today, master)
        return sent

    # Entries

    async def park(self) -> None:
        """Hold entries that were not sent before the login died; after the next they are dropped.

        Their signal is old by then, however soon the login comes (row B10).
        """
        for order in await self._journal.pending(self._broker_id):
            if order.state is OrderState.INITIALIZED:
                event = OrderEvent(
                    OrderState.HELD,
                    reason="login needed before it was sent",
                    held_for=Refusal.AUTH_REQUIRED,
                )
                await self._journal.apply(order.client_order_id, event)

    async def _clear_held(self) -> None:
        """Drop what was held (row B10): entries that waited for a login, and every exit.

        An exit is worked out anew from the ledger.
        """
        dropped = []
        for order in await self._journal.pending(self._broker_id):
            if order.state is not OrderState.HELD:
                continue
            waited = order.held_for in _WAITS_FOR_THE_USER
            # A throttled entry stays HELD: its signal is seconds old, and it may go out under the
            # same id until its time to live ends.
            if order.purpose.is_reducing or waited:
                await self._deny(order, f"{order.reason}; dropped, worked out anew where needed")
                if waited and not order.purpose.is_reducing:
                    dropped.append(order.client_order_id)
        if dropped:
            notice = EntriesDropped(self._broker_id, tuple(dropped))
            await self._outbox.post(self._store, Post(notice))

    async def _entries(self, client: BrokerClient) -> bool:
        sent = False
        ledgers = {ledger.key: ledger for ledger in await self._journal.ledgers(self._broker_id)}
        for order in await self._journal.pending(self._broker_id):
            if order.state not in {OrderState.INITIALIZED, OrderState.HELD}:
                continue
            if await self._enter(client, order, ledgers):
                sent = True
        return sent

    async def _enter(self, client: BrokerClient, order: Order, ledgers: dict[str, Ledger]) -> bool:
        now = self._clock.now()
        is_late = now - order.created_at > timedelta(seconds=self._settings.entry_ttl_s)
        late = f"could not be sent in time ({order.reason or 'no chance'})" if is_late else ""
        # A late entry skips what could still delay it: the gate denies it now, so that the run's
        # card does not show it as waiting for ever.
        if not late and not await self._is_ready(order, ledgers):
            return False
        try:
            after, outcome = await self._gateway.submit(client, Ticket(order, late=late))
        except Denied as denied:
            await self._deny(order, denied.reason)
            return False
        await self._handle_outcome(after, outcome)
        return True

    async def _is_ready(self, order: Order, ledgers: dict[str, Ledger]) -> bool:
        """Whether an entry in time can go out now; one that is no longer wanted is denied."""
        now = self._clock.now()
        if self._not_before.get(order.client_order_id, now) > now:
            return False
        if not await self._is_wanted(order):
            await self._deny(order, "no longer wanted: the goal has changed since")
            return False
        return not self._is_opposed(order, ledgers)

    async def _is_wanted(self, order: Order) -> bool:
        """Whether the run that decided the entry still sets the goal: a close ends it too."""
        request = order.request
        key = _key_of(order)
        # The run id too, not only the direction: a later run, a square-off or a close replaces the
        # goal, and the earlier entry would reopen what they have just closed (D7).
        goal = await goal_at(self._store, key)
        if goal is None or goal.run_id != order.run_id:
            return False
        return bool(goal.quantity * request.side.sign > 0)

    def _is_opposed(self, order: Order, ledgers: dict[str, Ledger]) -> bool:
        """Whether the other side is still held: a reversal enters when that is closed."""
        request = order.request
        for ledger in ledgers.values():
            same = (ledger.strategy, ledger.instrument, ledger.product) == (
                order.strategy,
                request.instrument,
                request.product,
            )
            if same and ledger.quantity * request.side.sign < 0:
                # Sent now, the entry would net against the position at the broker, and the exit
                # that is on its way would then open one the other way (I6).
                return True
        return False

    async def _deny(self, order: Order, reason: str) -> None:
        await self._journal.apply(
            order.client_order_id, OrderEvent(OrderState.DENIED, reason=reason)
        )

    # Goals

    async def _pursue(
        self,
        client: BrokerClient,
        goal: Goal,
        gate: Gate,
        today: str,
        master: Mapping[InstrumentId, Instrument],
    ) -> bool:
        now = self._clock.now()
        if self._not_before.get(goal.key, now) > now:
            self._look_again(self._not_before[goal.key])
            return False
        orders = await self._orders_of(goal, today)
        held = await self._held(goal, orders, today)
        if held == 0 and all(order.leaves_quantity == 0 for order in orders):
            if goal.strategy == MANUAL:
                await end_goal(self._store, goal)
            return False
        step = next_step(
            goal,
            held,
            orders,
            now=now,
            chase_s=self._settings.chase_s,
            rest_s=self._settings.rest_s,
            may_enter=gate.mode is TradingMode.NORMAL and gate.enabled,
        )
        if isinstance(step, Wait):
            self._look_again(step.until)
            return False
        try:
            return await self._execute(client, goal, step, today, master)
        except Denied as denied:
            # A denied exit is not given up: it is tried again after a pause, because what denies it
            # (an unresolved order, a position that cannot be read) passes.
            if goal.by_user:
                self.denials[goal.run_id] = denied
            if goal.strategy == MANUAL and denied.code in NOTHING_LEFT:
                await end_goal(self._store, goal)
            self._not_before[goal.key] = now + timedelta(seconds=_DENIED_PAUSE_S)
            self._look_again(self._not_before[goal.key])
            _log.info("%s: %s", goal.key, denied)
            return False

    async def _held(self, goal: Goal, orders: list[Order], today: str) -> int:
        """Return the signed units that a goal may still reduce.

        For a strategy these are its ledger's; for a user's close of what no strategy owns, what was
        asked for less what its own exits have filled. A close of an earlier day asks for nothing.
        """
        if goal.strategy != MANUAL:
            ledger = await ledger_at(self._store, goal.key)
            return ledger.quantity if ledger else 0
        if goal.day != today:
            return 0
        closed = sum(
            order.filled_quantity * order.request.side.sign
            for order in orders
            if order.run_id == goal.run_id
        )
        return goal.to_close + closed

    def _look_again(self, at: datetime | None) -> None:
        """Note when something can be done that cannot be done now; the earliest counts."""
        if at is not None and (self.look_again_at is None or at < self.look_again_at):
            self.look_again_at = at

    async def _orders_of(self, goal: Goal, today: str) -> list[Order]:
        return [
            order
            for order in await self._journal.of_day(self._broker_id, today)
            if (order.strategy, order.request.instrument, order.request.product)
            == (goal.strategy, goal.instrument, goal.product)
        ]

    async def _execute(
        self,
        client: BrokerClient,
        goal: Goal,
        step: Step,
        today: str,
        master: Mapping[InstrumentId, Instrument],
    ) -> bool:
        """Carry out one step towards a goal; return whether anything was sent."""
        match step:
            case Cancel(order, reason):
                return await self._cancel(client, order, reason)
            case PlaceExit(side, quantity, attempt):
                order = self._order(goal, Purpose.EXIT, side, quantity, attempt, today)
                await self._reduce(client, goal, order)
                return True
            case PlaceStop(side, quantity, trigger, attempt):
                order = self._order(goal, Purpose.STOP, side, quantity, attempt, today)
                trigger = _on_tick(trigger, side, master.get(goal.instrument))
                order = replace(
                    order,
                    request=replace(
                        order.request, order_type=OrderType.SL_M, trigger_price=trigger
                    ),
                )
                await self._reduce(client, goal, order)
                return True
            case ResizeStop():
                return await self._resize(client, step, master)
            case GiveUpStop(order):
                await self._stop_refused(order)
        return False

    def _order(
        self, goal: Goal, purpose: Purpose, side: Side, quantity: int, attempt: int, today: str
    ) -> Order:
        leg = f"{goal.instrument}|{goal.product}|{purpose}"
        cid = client_order_id(
            self._broker_id, goal.strategy, f"{today}|{goal.run_id}", leg, attempt
        )
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

    async def _reduce(self, client: BrokerClient, goal: Goal, order: Order) -> None:
        """Submit a reducing order after a fresh read of what the broker holds.

        In EXIT_ONLY nothing goes out without that read; in NORMAL a broker that cannot show its
        positions does not hold back an exit: the ledger alone then bounds it.
        """
        place = (order.request.instrument, order.request.product)
        # Repeated only where nothing was sent: a fill between the read and the gate makes the read
        # stale, and an exit sized by it could sell units that are gone (C3).
        for _ in range(_LOOKS):
            held = self.looks.take_recent(*place) or await self.looks.look(client, *place)
            ticket = Ticket(
                order, held=held, by_user=goal.by_user, despite_pause=goal.despite_pause
            )
            try:
                after, outcome = await self._gateway.submit(client, ticket)
            except SnapshotStale:
                continue
            self.denials.pop(goal.run_id, None)
            await self._handle_outcome(after, outcome)
            return
        raise Denied("POSITION_MOVING", "the position keeps changing while it is looked at")

    async def _resize(
        self,
        client: BrokerClient,
        step: ResizeStop,
        master: Mapping[InstrumentId, Instrument],
    ) -> bool:
        stop = step.order
        tick = master.get(stop.request.instrument)
        request = replace(
            stop.request,
            quantity=stop.filled_quantity + step.quantity,
            trigger_price=_on_tick(step.trigger_price, stop.request.side, tick),
        )
        if request == stop.request:
            # The trigger differs only below the tick: a change would cost rate in every turn.
            return False
        outcome = await self._gateway.resize(client, stop, replace(stop, request=request))
        _raise_for_account(outcome)
        if isinstance(outcome, Refused) and outcome.kind is Refusal.REJECTED:
            # A broker that does not take the change gets a new stop instead.
            return await self._cancel(client, stop, "could not be changed")
        return True

    async def _cancel(self, client: BrokerClient, order: Order, reason: str) -> bool:
        """Ask to cancel; after some refusals of one order the user is notified, once (B05)."""
        now, cid = self._clock.now(), order.client_order_id
        if self._not_before.get(cid, now) > now:
            return False
        refusals, since = self._refused_cancels.get(cid, (0, now))
        forgotten = now - since > timedelta(seconds=self._settings.cancel_forget_s)
        if refusals >= self._settings.cancel_limit and not forgotten:
            await self._notify_stuck(order)
            raise Denied("CANCEL_LIMIT", "the broker does not cancel an order that is in the way")
        outcome = await self._gateway.cancel(client, order, reason)
        _raise_for_account(outcome)
        if isinstance(outcome, Refused) and outcome.kind is Refusal.REJECTED:
            self._refused_cancels[cid] = (1 if forgotten else refusals + 1, now)
        elif isinstance(outcome, NotSent):
            self._not_before[cid] = now + _PAUSE
            return False
        return True

    async def _notify_stuck(self, order: Order) -> None:
        notice = CancelRefused(order.client_order_id)
        await self._post_once(f"stuck:{order.client_order_id}", Post(notice))

    async def _post_once(self, nonce: str, post: Post) -> None:
        async def body(view: StoreView) -> None:
            await self._outbox.post(view, post)

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return

    # After a write

    async def _handle_outcome(self, order: Order, outcome: WriteOutcome | None) -> None:
        _raise_for_account(outcome)
        if isinstance(outcome, NotSent):
            self._not_before[order.client_order_id] = self._clock.now() + _PAUSE
        if not isinstance(outcome, Refused):
            return
        if outcome.kind is Refusal.THROTTLED:
            pause = timedelta(seconds=outcome.retry_after_s or 1.0)
            self._not_before[order.client_order_id] = self._clock.now() + pause
            # An exit goes out under a new id; it waits as long.
            self._not_before[_key_of(order)] = self._clock.now() + pause

    async def _stop_refused(self, order: Order) -> None:
        """A stop that the broker refuses does not rest: say so once, the strategy watches it."""
        key = _key_of(order)
        notice = SoftwareStop(order.broker_id, str(order.request.instrument), order.reason)

        async def body(view: StoreView) -> None:
            await leave_without_stop(view, key)
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=f"soft:{order.client_order_id}")
        except AlreadyDone:
            return


def _is_pursued(goal: Goal, gate: Gate) -> bool:
    """Whether mode and switch let anything be done for a goal; the gate decides on each order."""
    if gate.mode is TradingMode.PAUSED:
        return goal.by_user and goal.despite_pause
    return gate.enabled or gate.drain or goal.by_user


def _raise_for_account(outcome: WriteOutcome | None) -> None:
    """Stop the turn when no other write of this account could succeed either."""
    if isinstance(outcome, Refused) and outcome.kind in _WAITS_FOR_THE_USER:
        raise WriteRefused(outcome.kind, outcome.message)


def _key_of(order: Order) -> str:
    """Return the key of the ledger that an order moves."""
    request = order.request
    return ledger_key(order.strategy, order.broker_id, request.instrument, request.product)


def _on_tick(price: Decimal, side: Side, instrument: Instrument | None) -> Decimal:
    """Put a trigger on the tick grid, on the far side: a stop fires no earlier than asked."""
    if instrument is None or instrument.tick_size <= 0:
        return price
    return round_to_tick(price, instrument.tick_size, up=side is Side.BUY)
