"""One run of a strategy: targets once, then goals and entries of every account in one commit.

Collection ``runs`` (``_id`` is the run id): ``strategy``, ``slot_at``, ``targets``, ``notes`` by
account, ``broker_ids``, ``kind``, ``created_at``. The run, its goals and its entry intents commit
together before the first send (reliability.md 2.3.1); a restart goes on with what was committed and
never computes targets again. Planning reads only the store, so no slow broker delays another
account's run (I7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from core.domain.account import Account
from core.domain.broker import Candle
from core.domain.broker_profile import BrokerProfile
from core.domain.due import square_off_at
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.ledger import ledger_key
from core.domain.notices.post import Post, run_card
from core.domain.notices.runs import DataMissing, RunFailed
from core.domain.order import (
    OPEN_STATES,
    Order,
    OrderState,
    Purpose,
)
from core.domain.planning import AccountState, Leg, plan_leg
from core.domain.sessions import Schedule, SessionWindow, trading_day
from core.domain.target import Context, DataNeed, ParameterValue, Strategy, Target
from core.domain.views import AssignmentView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Masters
from core.engine.orders.gate import gate_at
from core.engine.orders.goals import goal_at, put_goal, retarget_goal
from core.engine.orders.journal import Journal, orders_in
from core.engine.orders.ledgers import ledger_at, ledgers_of
from core.engine.orders.reconciliation import capital_of_day
from core.engine.orders.risk import Facts, first_denial
from core.engine.orders.run_rows import insert_run, newest_run
from core.engine.outbox import Outbox
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.plan import RunPlan, RunRequest, run_row
from core.engine.runs.settings import StrategySettings
from core.engine.stored_settings import read_setting
from core.errors import AlreadyDone, BrokerReadError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Runner"]

_log = logging.getLogger(__name__)
_DECIDE_DEADLINE_S = 10.0
_BAR_WAIT_S = 5.0
_BAR_LOOK_S = 0.5
_STALE_BARS = 3
_LONGEST_LOOKBACK = timedelta(days=366)


class Runner:
    """Runs strategies; ``wake`` lets an account's worker take a turn."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        strategies: StrategySettings,
        market_data: MarketData,
        masters: Masters,
        journal: Journal,
        outbox: Outbox,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._strategies = strategies
        self._market_data = market_data
        self._masters = masters
        self._journal = journal
        self._outbox = outbox
        self._wake = wake

    async def run(self, request: RunRequest) -> str:
        """Compute the targets, commit the run, wake the accounts; return one line on the result.

        The user is notified of every failure; a failed run changes nothing.
        """
        strategy = self._strategies.strategy(request.strategy)
        try:
            parameters = await self._strategies.parameters(request.strategy)
            targets, prices = await self._targets(strategy, parameters, request)
        except NoData as error:
            notice = DataMissing(request.strategy, str(error))
            await self._notify(notice, request, await self._last_run(request))
            return f"no market data: {error}"
        except _StrategyFailed as error:
            await self._notify(RunFailed(request.strategy, str(error)), request, str(error))
            return str(error)
        try:
            return await self._commit(strategy, request, targets, prices, parameters)
        except AlreadyDone:
            return "this slot ran already"

    async def _last_run(self, request: RunRequest) -> str:
        """Name the run after which data went missing: each slot may hear other words about it."""
        return await newest_run(self._store, request.strategy) or ""

    async def _notify(
        self, notice: DataMissing | RunFailed, request: RunRequest, cause: str
    ) -> None:
        """Notify the user of a failed run, once a day for each cause."""
        day = trading_day(request.slot_at)

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(
                body, nonce=f"{notice.kind}:{request.strategy}|{day}|{cause}"
            )
        except AlreadyDone:
            return

    async def _targets(
        self, strategy: Strategy, parameters: Mapping[str, ParameterValue], request: RunRequest
    ) -> tuple[Sequence[Target], dict[InstrumentId, Decimal]]:
        window = self.session(request.slot_at)
        if window is None:
            raise _StrategyFailed("the exchange is closed on this day")
        need = strategy.data(parameters)
        instruments = strategy.instruments(parameters)
        bars = await self._bars(instruments, need, window, request.slot_at)
        context = Context(request.slot_at, window, bars, parameters)
        targets = await self._decide(strategy, context)
        return targets, {name: rows[-1].close for name, rows in bars.items() if rows}

    def session(self, moment: datetime) -> SessionWindow | None:
        """Return the cash session of a day; of a weekday that is not known, the assumed one (K04).

        In an assumed session nothing is entered; what is held is looked after as on any day.
        """
        return self._session_of(moment.date())

    def _session_of(self, day: date) -> SessionWindow | None:
        try:
            return self._calendar.exit_session(day, Segment.CASH, has_derivatives=True)
        except LookupError:
            return None

    async def _bars(
        self,
        instruments: Sequence[InstrumentId],
        need: DataNeed,
        window: SessionWindow,
        slot_at: datetime,
    ) -> dict[InstrumentId, Sequence[Candle]]:
        """Read closed bars; wait a little for the one that has just closed to be published."""
        start = self._lookback_start(need, window)
        step = timedelta(minutes=need.bar_minutes)
        until = self._clock.monotonic() + _BAR_WAIT_S
        while True:
            raw = await self._market_data.candles(
                instruments, start=start, end=slot_at, minutes=need.bar_minutes
            )
            bars: dict[InstrumentId, Sequence[Candle]] = {
                name: tuple(bar for bar in raw.get(name, ()) if bar.start + step <= slot_at)
                for name in instruments
            }
            newest = max((rows[-1].start for rows in bars.values() if rows), default=None)
            # One instrument with the newest bar is enough: another may not have traded in it.
            complete = newest is not None and newest + step >= min(slot_at, window.close_at)
            if complete or self._clock.monotonic() >= until or slot_at <= window.open_at:
                break
            await self._clock.sleep(_BAR_LOOK_S)
        # A few late bars are tolerated; a longer gap is an outage, and a decision on old prices
        # would enter at a signal that is over (D10).
        if newest is None or slot_at - (newest + step) > _STALE_BARS * step:
            seen = f"the newest bar is of {newest:%d %b %H:%M}" if newest else "there are no bars"
            raise NoData(f"prices are stale: {seen}")
        return bars

    def _lookback_start(self, need: DataNeed, window: SessionWindow) -> datetime:
        """Return the open of the session that reaches back far enough for the lookback bars."""
        bars_left, start, day = need.lookback_bars, window.open_at, window.day
        oldest = day - _LONGEST_LOOKBACK
        while bars_left > 0:
            day -= timedelta(days=1)
            if day < oldest:
                break
            earlier = self._session_of(day)
            if earlier is not None:
                minutes = (earlier.close_at - earlier.open_at).total_seconds() / 60
                bars_left -= int(minutes // need.bar_minutes)
                start = earlier.open_at
        return start

    async def _decide(self, strategy: Strategy, context: Context) -> Sequence[Target]:
        try:
            async with asyncio.timeout(_DECIDE_DEADLINE_S):
                return await asyncio.to_thread(strategy.decide, context)
        except TimeoutError:
            raise _StrategyFailed(f"it did not decide within {_DECIDE_DEADLINE_S:.0f} s") from None
        # A strategy is the user's own code: whatever it raises must stop this run and nothing else.
        except Exception as error:
            _log.exception("strategy %s failed", strategy.name)
            raise _StrategyFailed(f"it failed with {type(error).__name__}: {error}") from error

    async def _commit(
        self,
        strategy: Strategy,
        request: RunRequest,
        targets: Sequence[Target],
        prices: dict[InstrumentId, Decimal],
        parameters: Mapping[str, ParameterValue],
    ) -> str:
        accounts = await self._assigned(strategy.name, request)
        # All that needs a request or a file is read before the transaction, which may run again.
        brokers = {account.broker for account, _ in accounts}
        plan = self._plan(strategy.schedule(parameters), request, brokers)
        instruments = {
            account.broker_id: await self._instruments(account) for account, _ in accounts
        }

        async def body(view: StoreView) -> tuple[list[Order], bool]:
            return await self._write(view, plan, targets, prices, accounts, instruments)

        orders, is_signal = await self._store.transaction(body, nonce=f"run:{request.run_id}")
        for account, _ in accounts:
            await self._accounts.mark_run(account.broker_id, self._clock.now())
            if is_signal:
                # A turn costs reads of the broker's rate: one for each slot would use it up.
                self._wake(account.broker_id)
        if not is_signal:
            return f"nothing to change on {len(accounts)} account(s)"
        return f"{len(orders)} entry order(s) on {len(accounts)} account(s)"

    def _plan(
        self, schedule: Schedule, request: RunRequest, brokers: Iterable[BrokerProfile]
    ) -> RunPlan:
        now = self._clock.market_now()
        closing = [
            broker
            for broker in brokers
            if (begin := self.square_off_begins(schedule, now.date(), broker)) and now >= begin
        ]
        window = self.session(request.slot_at)
        return RunPlan(
            request,
            schedule.every_minutes,
            frozenset(closing),
            self._clock.now(),
            is_known_day=window is not None and not window.is_assumed,
        )

    def square_off_begins(
        self, schedule: Schedule, day: date, broker: BrokerProfile
    ) -> datetime | None:
        """Return from when a strategy is squared off at a broker: nothing is entered then."""
        cut_off = self._calendar.square_off(day, broker, Segment.CASH, has_derivatives=True)
        return square_off_at(schedule, day, cut_off)

    async def _assigned(
        self, name: str, request: RunRequest
    ) -> list[tuple[Account, AssignmentView]]:
        found = []
        for account in await self._accounts.all():
            if request.only is not None and account.broker_id != request.only:
                continue
            assignment = await self._strategies.assignment(name, account)
            # Switched off, but still holding: the run must be able to decide its exit (D4).
            if (account.enabled and assignment.is_on) or await self._holds(name, account):
                found.append((account, assignment))
        return found

    async def _holds(self, name: str, account: Account) -> bool:
        """An account that was switched off with "exits only" still gets the exits."""
        ledgers = await ledgers_of(self._store, account.broker_id)
        held = any(one.strategy == name and one.quantity for one in ledgers)
        return held and (account.enabled or account.drain)

    async def _instruments(self, account: Account) -> Mapping[InstrumentId, Instrument]:
        try:
            return await self._masters.instruments(account.broker)
        except BrokerReadError as error:
            _log.warning("%s: %s", account.label, error)
            return {}

    async def _write(
        self,
        view: StoreView,
        plan: RunPlan,
        targets: Sequence[Target],
        prices: Mapping[InstrumentId, Decimal],
        accounts: Sequence[tuple[Account, AssignmentView]],
        instruments: Mapping[str, Mapping[InstrumentId, Instrument]],
    ) -> tuple[list[Order], bool]:
        request = plan.request
        orders: list[Order] = []
        notes: dict[str, str] = {}
        changed = False
        for account, assignment in accounts:
            for target in targets:
                current = await self._account_state(
                    view,
                    plan,
                    target,
                    assignment,
                    account,
                    prices,
                    instruments[account.broker_id].get(target.instrument),
                )
                leg = plan_leg(
                    target,
                    assignment,
                    current,
                    slot_at=request.slot_at,
                    fresh_for=timedelta(minutes=plan.every_minutes),
                )
                changed |= await self._put(view, plan, target, assignment, current, leg)
                if leg.entry:
                    orders.append(plan.entry(target, assignment, leg))
                if leg.note:
                    notes[account.broker_id] = leg.note
        await self._journal.add(view, orders)
        is_signal = bool(orders or notes or changed)
        await insert_run(view, run_row(plan, targets, notes, accounts, is_signal=is_signal))
        if is_signal:
            await self._outbox.post(view, run_card(request.run_id))
        return orders, is_signal

    async def _put(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        current: AccountState,
        leg: Leg,
    ) -> bool:
        """Write the leg's goal; return whether it changes what is held or working."""
        keeps = leg.goal == current.wanted and not leg.entry
        # Flat and nothing held: no goal is written, so that a slot without a signal leaves no trace
        # on an account.
        if keeps and leg.goal == 0 and current.held == 0:
            return False
        stop_price = target.stop_price if leg.goal else None
        key = ledger_key(
            assignment.strategy, assignment.broker_id, target.instrument, assignment.product
        )
        # A goal that is kept keeps its run id too: an entry still waiting is only sent while its
        # own run's goal is in force. Its stop may move (a trailing stop).
        if keeps and await retarget_goal(
            view, key, stop_price=stop_price, day=plan.day, at=plan.now
        ):
            return False
        await put_goal(
            view,
            strategy=assignment.strategy,
            broker_id=assignment.broker_id,
            instrument=target.instrument,
            product=assignment.product,
            quantity=leg.goal,
            stop_price=stop_price,
            run_id=plan.request.run_id if not keeps else current.run_id,
            day=plan.day,
            at=plan.now,
        )
        reduces = current.held not in {0, leg.goal}
        return reduces and not keeps

    async def _account_state(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        account: Account,
        prices: Mapping[InstrumentId, Decimal],
        instrument: Instrument | None,
    ) -> AccountState:
        key = ledger_key(
            assignment.strategy, account.broker_id, target.instrument, assignment.product
        )
        # Yesterday's goal is no goal: MIS units are squared off by then, and a kept one would look
        # like an entry that is still to come.
        ledger = await ledger_at(view, key)
        goal = await goal_at(view, key)
        wanted = goal.quantity if goal and goal.day == plan.day else None
        orders = await orders_in(view, account.broker_id, target.instrument, plan.day)
        mine = [o for o in orders if o.strategy == assignment.strategy]
        gate = await gate_at(view, account.broker_id)
        facts = plan.facts(target, assignment, account, gate, orders)
        own = await read_setting(view, f"capital|{account.broker_id}")
        capital = (
            Decimal(str(own["value"]))
            if own
            else await capital_of_day(view, account.broker_id, plan.day)
        )
        return AccountState(
            held=ledger.quantity if ledger else 0,
            wanted=wanted or 0,
            is_closing=wanted == 0,
            run_id=goal.run_id if goal else plan.request.run_id,
            working_entry=any(
                o.purpose is Purpose.ENTRY and (o.state in OPEN_STATES or o.state in _WAITING)
                for o in mine
            ),
            why_not=partial(_why_not, facts),
            capital=capital,
            price=prices.get(target.instrument, Decimal(0)),
            instrument=instrument,
        )


def _why_not(facts: Facts, units: int) -> str:
    """Return why an entry of so many units is not sent, or ''."""
    denial = first_denial(replace(facts, quantity=units))
    return denial.reason if denial else ""


_WAITING = {OrderState.INITIALIZED, OrderState.HELD}


class _StrategyFailed(Exception):
    """A strategy did not decide; the message is for the chat."""
