"""An account's order executor: sends a run's entries, and takes each ledger one step to its goal.

The worker calls ``advance`` under the account's lock. Entries are intents of a committed run and go
out at most once; exits and stops are worked out anew each time by ``core.domain.converge``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.domain.converge import next_step
from core.domain.goal import Goal
from core.domain.instrument import Instrument, InstrumentId
from core.domain.mode import TradingMode
from core.domain.order import LIVE_STATES, MANUAL, Order, OrderState, Purpose, Side
from core.domain.sessions import trading_day
from core.domain.slicing import largest_order
from core.domain.steps import Cancel, PlaceExit, Step, StopGone, Wait
from core.domain.stops import restored_stop
from core.engine.orders.entries import Entries
from core.engine.orders.exit_watch import ExitWatch, why_ended
from core.engine.orders.gate import Gate, gate_at, is_pursued
from core.engine.orders.gateway import Gateway, WriteRefused
from core.engine.orders.goals import end_goal, goal_at, goals_of
from core.engine.orders.journal import Journal, orders_in
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.looks import Looks
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.pauses import Pauses
from core.engine.orders.prices import Prices
from core.engine.orders.risk import NOTHING_LEFT
from core.engine.orders.run_exits import ExitTimes, RunExits
from core.engine.orders.steps import CancelLimit, Steps, on_tick
from core.engine.orders.stop_hits import StopHits
from core.engine.outbox import Outbox
from core.errors import Denied, LeaseLost
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["Executor", "ExecutorSettings"]

_log = logging.getLogger(__name__)
_DENIED_PAUSE_S = 5.0
_CANCEL_PAUSE_S = 1.0
_MOST_SLICES = 10
_UNTIL_READ = timedelta(seconds=0.3)
_UNREAD = "ORDERS_UNREAD"
_UNREAD_PAUSE_S = 1.0
_NOT_SAID = NOTHING_LEFT | {"CANCEL_LIMIT", "GATE_MOVED", "POSITION_MOVING"}
"""Denials that are no news: nothing is left, it was told already, or it is over in a moment."""


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Times of the executor, in real seconds.

    Attributes:
        entry_ttl_s: An entry that could not be sent by then is dropped.
        rest_s: What is left of an entry that rests this long is cancelled.
        chase_s: An exit that rests this long is cancelled and worked out anew.
        stuck_s: An exit that is not through after this long is reported (R3).
        cancel_limit: Refused cancels of one order before the user is asked (B05).
        cancel_forget_s: Refusals older than this no longer count.
    """

    entry_ttl_s: float = 60.0
    rest_s: float = 60.0
    chase_s: float = 15.0
    stuck_s: float = 30.0
    cancel_limit: int = 3
    cancel_forget_s: float = 120.0


@dataclass(frozen=True, slots=True)
class _View:
    """What all goals of one turn share."""

    client: BrokerClient
    gate: Gate
    today: str
    master: Mapping[InstrumentId, Instrument]
    settle: Callable[[], Awaitable[object]] | None


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one look at a goal found.

    Attributes:
        held: Signed units that the goal may still reduce.
        orders: Today's orders of its ledger.
        limit: The largest quantity of one order, None where none is known.
    """

    client: BrokerClient
    goal: Goal
    held: int
    orders: list[Order]
    today: str
    master: Mapping[InstrumentId, Instrument]
    limit: int | None


class Executor:
    """Sends the orders of one account: entries of runs, and what brings ledgers to their goals.

    ``has_work``: the last turn found anything on the way to its goal, or looked at nothing.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        journal: Journal,
        gateway: Gateway,
        outbox: Outbox,
        hours: MarketHours,
        looks: Looks,
        prices: Prices,
        settings: ExecutorSettings,
    ) -> None:
        self._broker_id = broker_id
        self._store = store
        self._clock = clock
        self._journal = journal
        self._settings = settings
        self._hours = hours
        self._watch = ExitWatch(store, clock, outbox, hours, stuck_s=settings.stuck_s)
        self._pauses = Pauses(clock)
        self._denied: dict[str, str] = {}
        self.look_again_at: datetime | None = None
        self.has_work = True
        self.are_orders_unread = False
        """Whether the last read of the account's orders failed."""
        self.looks = looks
        self._entries = Entries(
            broker_id,
            store=store,
            clock=clock,
            journal=journal,
            gateway=gateway,
            outbox=outbox,
            pauses=self._pauses,
            hours=hours,
            ttl_s=settings.entry_ttl_s,
        )
        self._steps = Steps(
            broker_id,
            store=store,
            clock=clock,
            gateway=gateway,
            outbox=outbox,
            looks=self.looks,
            pauses=self._pauses,
            cancel_limit=CancelLimit(settings.cancel_limit, settings.cancel_forget_s),
            hits=StopHits(store, clock, outbox, prices),
        )
        self.run_exits = RunExits(
            broker_id,
            clock=clock,
            hours=hours,
            pauses=self._pauses,
            steps=self._steps,
            looks=looks,
            denied=self._denied,
            times=ExitTimes(settings.chase_s, settings.rest_s),
        )

    @property
    def denials(self) -> dict[str, Denied]:
        """Why a run's exits were denied when last tried, by run id; shown to a user who waits."""
        return self._steps.denials

    def why_not_through(self, orders: Sequence[Order]) -> str:
        """Return why an exit is not through, by the day's orders of its ledger."""
        return self._watch.why(orders)

    async def ask_limit(self, client: BrokerClient, order: Order) -> None:
        """Ask whether an exit that rests stands at a circuit limit; ``why_not_through`` tells."""
        await self._watch.ask_limit(client, order)

    @property
    def entries(self) -> Entries:
        """The entries of the account's runs."""
        return self._entries

    async def park(self) -> None:
        """Hold entries that were not sent before the login died."""
        await self._entries.park()

    async def advance(
        self,
        client: BrokerClient,
        master: Mapping[InstrumentId, Instrument],
        settle: Callable[[], Awaitable[object]] | None = None,
    ) -> bool:
        """Do what can be done now; return whether anything was sent.

        Instruments are worked on beside one another: a request of one that the broker answers
        slowly holds no other back. Each goes from its cancel to its exit without waiting for the
        cancels of the others, and sends its entries after its exits.

        Args:
            client: The account's client.
            master: The broker's instruments.
            settle: Reads the day's orders anew; None leaves that to the next turn.

        Raises:
            WriteRefused: The broker refused a write because of the login or the permissions.
            BrokerReadError: With AUTH_REQUIRED when it refused the login of a read.
            StoreUnavailable: Nothing more may be sent.
            LeaseLost: Another controller has taken over.
        """
        gate = await gate_at(self._store, self._broker_id)
        if gate is None:
            self.has_work = True
            return False
        today = trading_day(self._clock.market_now())
        self.look_again_at, self.has_work = None, False
        # First of all: a held entry must not go out once its login is back (row B10), and an exit
        # that is still held would be sent beside the one that is worked out anew below (I6).
        pending = await self._entries.clear_held()
        entries = await self._entries.due(master, pending)
        by_instrument: defaultdict[InstrumentId, list[Goal]] = defaultdict(list)
        for goal in await goals_of(self._store, self._broker_id):
            if is_pursued(goal, gate):
                by_instrument[goal.instrument].append(goal.on(today))
        view = _View(client, gate, today, master, settle)
        # Those without entries are the first in line for the order rate.
        names = [*(name for name in by_instrument if name not in entries), *entries]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    self._pursue_all(by_instrument.get(name, []), entries.get(name, []), view)
                )
                for name in names
            ]
        ends = [task.result() for task in tasks]
        _raise_worst([end for end in ends if isinstance(end, Exception)])
        return any(end is True for end in ends)

    async def _pursue_all(
        self, goals: list[Goal], entries: list[Order], view: _View
    ) -> bool | Exception:
        """Pursue the goals of one instrument, one after another, then send its entries.

        What ended it early is returned: raised, it would cancel the requests of the other
        instruments, and a request that is cancelled on its way is ambiguous.
        """
        sent = False
        try:
            for goal in goals:
                sent |= await self._pursue_one(goal, view)
            sent |= await self._entries.send(view.client, entries)
        except Exception as error:  # noqa: BLE001 - raised by advance when all are done
            return error
        return sent

    async def _pursue_one(self, goal: Goal, view: _View) -> bool:
        """Take a ledger one step further; after the cancel of its stop to its exit as well."""
        step = await self._pursue(goal, view)
        if step is None:
            return False
        if _makes_way(step) and view.settle is not None:
            await view.settle()
            again = await goal_at(self._store, goal.key)
            if again is not None and again.run_id == goal.run_id:
                await self._pursue(again.on(view.today), view)
        return True

    async def _pursue(self, goal: Goal, view: _View) -> Step | None:
        """Take a ledger one step towards its goal; return the step when anything was sent."""
        now, today, master = self._clock.now(), view.today, view.master
        if paused_until := self._pauses.until(goal.key):
            self._look_again(paused_until)
            return None
        same = await self._orders_of(goal.instrument, today)
        orders = [order for order in same if _is_of(order, goal)]
        held = await self._held(goal, orders, today)
        known = master.get(goal.instrument)
        is_open = self._hours.is_open(goal.instrument, known)
        # A denial is reported in words of its own.
        may_go = is_open and goal.key not in self._denied
        self._look_again(await self._watch.look(goal, held, orders, is_open=may_go))
        if held == 0 and all(order.leaves_quantity == 0 for order in orders):
            if goal.strategy == MANUAL:
                await end_goal(self._store, goal)
            return None
        self.has_work = True
        limit = largest_order(known, same)
        step = next_step(
            _on_tick(goal, held, known),
            held,
            orders,
            now=now,
            chase_s=self._settings.chase_s,
            rest_s=self._settings.rest_s,
            may_enter=view.gate.mode is TradingMode.NORMAL and view.gate.enabled,
            limit=limit,
            refused=self._steps.refused_changes,
        )
        if isinstance(step, Wait):
            self._look_again(step.until)
            return None
        if not is_open:
            await self._watch.wait_for_open(goal, held, step, known)
            return None
        if await self._watch.keeps_place(view.client, step):
            return None
        # In the last minute it was the exchange: taken for a person's, it would stay away tomorrow.
        if isinstance(step, StopGone) and self._hours.is_ending(goal.instrument, known):
            return None
        turn = _Turn(view.client, goal, held, orders, today, master, limit)
        return step if await self._carry_out(turn, step) else None

    async def _carry_out(self, turn: _Turn, step: Step) -> bool:
        """Carry out a step towards a goal; return whether anything was sent."""
        goal, orders = turn.goal, turn.orders
        try:
            self._require_sight(step)
            sent = await self._steps.carry_out(
                turn.client, goal, step, turn.today, turn.master, _last_reason(orders)
            )
        except Denied as denied:
            if denied.code in NOTHING_LEFT and _has_working_exit(orders):
                # A slice has filled and was not read yet: what is left shows in a moment.
                self._look_again(self._clock.now() + _UNTIL_READ)
                return False
            # A denied exit is not given up: it is tried again after a pause, because what denies it
            # (an unresolved order, a position that cannot be read) passes.
            if goal.by_user:
                self.denials[goal.run_id] = denied
            pause_s = _UNREAD_PAUSE_S if denied.code == _UNREAD else _DENIED_PAUSE_S
            if goal.strategy == MANUAL and denied.code in NOTHING_LEFT:
                pause_s = await self._end_when_done(turn)
            self._look_again(self._pauses.pause(goal.key, pause_s))
            _log.info("%s: %s", goal.key, denied)
            await self._notify_denied(turn, step, denied)
            return _is_exit(step) and await self._put_back(turn, denied)
        self._denied.pop(goal.key, None)
        return sent

    def _require_sight(self, step: Step) -> None:
        """Let a stop make way only while the orders can be read (R6).

        Whether it is gone shows in them alone: cancelled while they cannot be read, the position
        would be without a stop and without an exit for as long as that lasts.

        Raises:
            Denied: They cannot.
        """
        if self.are_orders_unread and _makes_way(step):
            raise Denied(
                _UNREAD,
                "the broker's orders cannot be read, and only they show when its stop is gone",
            )

    async def _end_when_done(self, turn: _Turn) -> float:
        """End a user's close of what no strategy owns, once nothing of that is left.

        Returns the pause until the next try.

        One look is no proof: a fill that was not read yet, or a row of the positions that is
        missing from one read, may hide what is left. It ends when fills and positions agree.
        """
        goal = turn.goal
        outside = await self.looks.outside(turn.client, goal.instrument, goal.product)
        if outside is None or outside * goal.to_close > 0:
            same = await self._orders_of(goal.instrument, turn.today)
            is_going = any(
                one.state is OrderState.PENDING_CANCEL and one.request.product is goal.product
                for one in same
            )
            return _CANCEL_PAUSE_S if is_going else _DENIED_PAUSE_S
        await end_goal(self._store, goal)
        return _DENIED_PAUSE_S

    async def _notify_denied(self, turn: _Turn, step: Step, denied: Denied) -> None:
        """Say that an exit may not go, once it was denied twice in a row for one cause."""
        goal = turn.goal
        if not _is_exit(step) or denied.code in _NOT_SAID:
            return
        # One failed read passes before anybody could do something about it.
        if self._denied.get(goal.key) != denied.code:
            self._denied[goal.key] = denied.code
            return
        await self._steps.notify_denied(goal, denied, has_stop=_is_covered(turn))

    async def _put_back(self, turn: _Turn, denied: Denied) -> bool:
        """Put back what made way for an exit that was denied afterwards, in slices (R6)."""
        orders, sent = turn.orders, False
        for _ in range(_MOST_SLICES):
            stop = restored_stop(turn.held, orders, turn.limit)
            if stop is None:
                break
            try:
                sent |= await self._steps.carry_out(
                    turn.client, turn.goal, stop, turn.today, turn.master, denied.reason
                )
            except Denied as again:
                _log.warning("%s: its stop could not be put back: %s", turn.goal.key, again)
                break
            same = await self._orders_of(turn.goal.instrument, turn.today)
            orders = [order for order in same if _is_of(order, turn.goal)]
        return sent

    async def _held(self, goal: Goal, orders: list[Order], today: str) -> int:
        """Return the signed units that a goal may still reduce.

        For a strategy these are its ledger's; for a user's close of what no strategy owns, what was
        asked for less what its own exits have filled. A close of an earlier day asks for nothing.
        """
        if goal.strategy != MANUAL:
            at = await ledger_at(self._store, goal.key)
            return at.quantity if at else 0
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

    async def _orders_of(self, instrument: InstrumentId, today: str) -> list[Order]:
        return await orders_in(self._store, self._broker_id, instrument, today)


def _raise_worst(errors: Sequence[Exception]) -> None:
    """Raise what concerns most of the errors that instruments have ended with; log the others."""
    worst_first = sorted(errors, key=_gravity)
    for error in worst_first[1:]:
        _log.error("besides: %s", error, exc_info=error)
    if worst_first:
        raise worst_first[0]


def _gravity(error: Exception) -> int:
    """Return 0 for what ends the controller, 1 for what parks the account, 2 for the rest."""
    return 0 if isinstance(error, LeaseLost) else 1 if isinstance(error, WriteRefused) else 2


def _on_tick(goal: Goal, held: int, known: Instrument | None) -> Goal:
    """Return a goal whose stop can be compared with those that rest."""
    if goal.stop_price is None:
        return goal
    return replace(goal, stop_price=on_tick(goal.stop_price, Side.of(-held), known))


def _is_of(order: Order, goal: Goal) -> bool:
    """Whether an order is of a goal's ledger."""
    return (order.strategy, order.request.product) == (goal.strategy, goal.product)


def _is_exit(step: Step) -> bool:
    """Whether a step is an exit, or takes a stop out of its way."""
    return isinstance(step, PlaceExit) or _makes_way(step)


def _makes_way(step: Step) -> bool:
    """Whether a step takes a stop out of the way of an exit."""
    return isinstance(step, Cancel) and step.behind is not None


def _is_covered(turn: _Turn) -> bool:
    """Whether stops rest at the broker for all that is held."""
    side = Side.of(-turn.held)
    stops = [
        order
        for order in turn.orders
        if order.purpose is Purpose.STOP and order.request.side is side
    ]
    return sum(order.leaves_quantity for order in stops) >= abs(turn.held)


def _has_working_exit(orders: list[Order]) -> bool:
    return any(one.purpose is Purpose.EXIT and one.state in LIVE_STATES for one in orders)


def _last_reason(orders: list[Order]) -> str:
    """Return why the newest exit came to nothing."""
    exits = [order for order in orders if order.purpose is Purpose.EXIT]
    newest = max(exits, key=lambda order: (order.created_at, order.attempt), default=None)
    return why_ended(newest) if newest else ""
