"""Writing a run: goals and entry intents of every account, in the transaction of the run.

Everything is read from the store, so that no slow broker delays another account's run (I7).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from core.domain.account import Account
from core.domain.goal import Goal
from core.domain.instrument import Instrument, InstrumentId
from core.domain.ledger import ledger_key
from core.domain.limit_use import Entering
from core.domain.limits import SAID_ONCE
from core.domain.mode import TradingMode
from core.domain.notices.post import run_card
from core.domain.order import OPEN_STATES, Order, OrderState, Purpose, Side
from core.domain.planning import AccountState, Leg, plan_leg
from core.domain.slicing import largest_order, slices
from core.domain.stop_rule import StopRule, tighter
from core.domain.target import Target
from core.domain.views import AssignmentView
from core.engine.orders.gate import gate_at
from core.engine.orders.gateway import Gateway
from core.engine.orders.goals import entered_on, goal_at, put_goal, retarget_goal
from core.engine.orders.journal import Journal, orders_in
from core.engine.orders.lanes import Lane
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.limit_use import EntryBounds, bounds_of
from core.engine.orders.reconciliation import capital_of_day
from core.engine.orders.risk import Denial, Facts, first_denial
from core.engine.orders.run_rows import insert_run, said_of_limits
from core.engine.orders.shut import why_shut
from core.engine.outbox import Outbox
from core.engine.runs.pinned_bars import pin_bars
from core.engine.runs.plan import Decided, RunPlan, run_row
from core.engine.runs.run_orders import (
    ReducedLedger,
    WrittenRun,
    born_entries,
    born_exits,
    free_lanes,
    idle_lanes,
    usable_lanes,
)
from core.engine.stored_settings import read_setting
from core.ports.store import StoreView

__all__ = ["Planner"]


T = TypeVar("T")

_AT_ONCE = 10
"""Accounts that are planned without a pause: two hundred would keep everybody else waiting for a
tenth of a second."""


class Planner:
    """Plans a run's accounts inside its transaction."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        gateway: Gateway,
        proof_address: Callable[[str], str | None] = lambda _broker_id: None,
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._gateway = gateway
        self._proof_address = proof_address

    async def write(
        self,
        view: StoreView,
        plan: RunPlan,
        decided: Decided,
        accounts: Sequence[tuple[Account, AssignmentView]],
        instruments: Mapping[str, Mapping[InstrumentId, Instrument]],
        lanes: Mapping[str, Lane],
        *,
        pauses: bool = True,
    ) -> WrittenRun:
        """Write goals, entries and the run itself; return what came of it.

        Orders of accounts that have a lane are born SUBMITTED where nothing stands in the way. With
        ``pauses`` others go on meanwhile, so that what was read can have changed at the end.
        """
        draft = _Draft()
        idle = await idle_lanes(view, usable_lanes(lanes, [account for account, _ in accounts]))
        free = await free_lanes(view, idle)
        async for account, assignment in _some_at_a_time(accounts, pauses=pauses):
            known, broker_id = instruments[account.broker_id], account.broker_id
            closing: list[ReducedLedger] = []
            for target in decided.targets:
                closing += await self._plan_leg(
                    view,
                    plan,
                    target,
                    assignment,
                    account,
                    decided.prices,
                    known,
                    free.get(broker_id),
                    draft,
                )
            draft.is_changed |= bool(closing)
            lane = idle.get(broker_id)
            draft.exits += await born_exits(view, self._gateway, lane, broker_id, closing)
        is_signal = await self._write_run(view, plan, decided, accounts, draft)
        return WrittenRun(draft.entries, draft.exits, is_signal)

    async def _plan_leg(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        account: Account,
        prices: Mapping[InstrumentId, Decimal],
        listed: Mapping[InstrumentId, Instrument],
        lane: Lane | None,
        draft: _Draft,
    ) -> list[ReducedLedger]:
        """Plan one target on one account; return its ledger if less is wanted there than is held.

        ``lane`` is of an account with nothing to do first.
        """
        known = listed.get(target.instrument)
        current, asked = await self._account_state(
            view, plan, target, assignment, account, prices, listed, draft.entries
        )
        leg = plan_leg(
            target,
            assignment,
            current,
            slot_at=plan.request.slot_at,
            fresh_for=plan.fresh_for,
        )
        reduces, kept = await self._put(view, plan, target, assignment, current, leg)
        if leg.entry:
            entries = plan.entries(target, assignment, leg, current)
            draft.entries += await born_entries(
                view, self._gateway, lane, entries, known, asked.facts
            )
        waits = _waiting_exit(target, current, asked) if reduces else ""
        note, before = waits or kept or leg.note, draft.notes.get(account.broker_id, "")
        mark = f"{account.broker_id}|{target.instrument}|STOP_STAYS" if kept else asked.mark
        if note not in before and (waits or await self._is_new(view, plan, mark, draft.said)):
            # Of two instruments each is told: neither may hide the other.
            draft.notes[account.broker_id] = f"{before}; {note}" if before else note
            if waits or kept or not asked.is_by_choice:
                draft.loud.add(account.broker_id)
        if not reduces:
            return []
        key = ledger_key(
            assignment.strategy, account.broker_id, target.instrument, assignment.product
        )
        return [ReducedLedger(key, known)]

    async def _write_run(
        self,
        view: StoreView,
        plan: RunPlan,
        decided: Decided,
        accounts: Sequence[tuple[Account, AssignmentView]],
        draft: _Draft,
    ) -> bool:
        """Write the orders, the bars of entries and the run; return whether the run matters.

        An account that a user keeps from entering is no news at each signal; who waits for a run
        is answered, whatever comes of it.
        """
        request = plan.request
        await self._journal.add(view, draft.entries + draft.exits)
        await pin_bars(
            view,
            request.strategy,
            plan.day,
            decided.bar_minutes,
            decided.bars,
            instruments={order.request.instrument for order in draft.entries},
            at=plan.now,
        )
        is_signal = bool(draft.entries or draft.loud or draft.is_changed or request.is_told)
        quiet = sorted(set(draft.notes) - draft.loud)
        await insert_run(
            view,
            run_row(
                plan,
                decided.targets,
                draft.notes,
                accounts,
                quiet=quiet,
                said=draft.said,
                is_signal=is_signal,
            ),
        )
        if is_signal:
            await self._outbox.post(view, run_card(request.run_id))
        return is_signal

    async def _is_new(self, view: StoreView, plan: RunPlan, mark: str, said: list[str]) -> bool:
        """Whether a note is to be told; note one that lasts, which has a mark, as said.

        A strategy that signals at each slot would have a card at each, saying the same (R1). Who
        asks for a run is answered.
        """
        request = plan.request
        if not mark or request.is_by_user:
            return True
        if mark in said or mark in await said_of_limits(view, request.strategy, request.slot_at):
            return False
        said.append(mark)
        return True

    async def _put(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        current: AccountState,
        leg: Leg,
    ) -> tuple[bool, str]:
        """Write the leg's goal.

        Returns:
            Whether less is wanted now than is held; why its stop was not moved, or ''.
        """
        keeps = leg.goal == current.wanted and not leg.entry
        # Flat and nothing held: no goal is written, so that a slot without a signal leaves no trace
        # on an account.
        if keeps and leg.goal == 0 and current.held == 0:
            return False, ""
        key = ledger_key(
            assignment.strategy, assignment.broker_id, target.instrument, assignment.product
        )
        # An exit that is under way stays as it was decided, by whom and when.
        if keeps and leg.goal == 0 and current.is_closing:
            return False, ""
        stop_price, rule, kept = await _stop_of(view, plan, target, key, leg)
        # A goal that is kept keeps its run id too: an entry still waiting is only sent while its
        # own run's goal is in force. Its stop may move (a trailing stop).
        if keeps and await retarget_goal(
            view, key, stop_price=stop_price, day=plan.day, at=plan.now, stop_rule=rule
        ):
            return False, kept
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
            signal_at=target.signal_at if leg.entry else None,
            stop_rule=rule,
        )
        reduces = current.held not in {0, leg.goal}
        return reduces and not keeps, kept

    async def _account_state(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        account: Account,
        prices: Mapping[InstrumentId, Decimal],
        listed: Mapping[InstrumentId, Instrument],
        planned: Sequence[Order],
    ) -> tuple[AccountState, _EntryAnswer]:
        instrument = listed.get(target.instrument)
        key = ledger_key(
            assignment.strategy, account.broker_id, target.instrument, assignment.product
        )
        ledger = await ledger_at(view, key)
        acted_on = await entered_on(view, key, int(target.direction))
        goal = await goal_at(view, key)
        held = ledger.quantity if ledger else 0
        wanted = _wanted(goal, held, plan.day)
        read = await orders_in(view, account.broker_id, target.instrument, plan.day)
        orders = self._gateway.before_sending(read)
        mine = [o for o in orders if o.strategy == assignment.strategy]
        gate = await gate_at(view, account.broker_id)
        shut = await why_shut(view, account.broker_id, assignment.strategy, plan.day)
        price = prices.get(target.instrument, Decimal(0))
        bounds = await self._bounds(view, plan, target, assignment, planned)
        facts = plan.facts(
            target,
            assignment,
            account,
            gate,
            orders,
            shut=shut,
            price=price or None,
            bounds=bounds,
        )
        asked = _EntryAnswer(facts, bounds.version, largest_order(instrument, orders))
        state = AccountState(
            held=held,
            wanted=wanted or 0,
            is_closing=wanted == 0,
            run_id=goal.run_id if goal else plan.request.run_id,
            working_entry=any(
                o.purpose is Purpose.ENTRY and (o.state in OPEN_STATES or o.state in _WAITING)
                for o in mine
            ),
            why_not=asked.why_not,
            capital=await _capital(view, account.broker_id, plan.day),
            price=price,
            instrument=instrument,
            largest_order=asked.largest_order,
            is_acted_on=acted_on is not None and target.signal_at <= acted_on,
            has_list=bool(listed),
        )
        return state, asked

    async def _bounds(
        self,
        view: StoreView,
        plan: RunPlan,
        target: Target,
        assignment: AssignmentView,
        planned: Sequence[Order],
    ) -> EntryBounds:
        """Read what an entry would be held to; nothing where none can be decided."""
        if not plan.is_fresh(target):
            return EntryBounds()
        entry = Entering(
            assignment.broker_id,
            assignment.strategy,
            target.instrument,
            assignment.product,
            Side.of(int(target.direction)),
            plan.request.run_id,
        )
        return await bounds_of(
            view,
            entry,
            day=plan.day,
            now=plan.now,
            address=self._proof_address(assignment.broker_id),
            planned=planned,
        )


async def _stop_of(
    view: StoreView, plan: RunPlan, target: Target, key: str, leg: Leg
) -> tuple[Decimal | None, StopRule | None, str]:
    """Return the stop that a leg wants, how it follows, and why it is not the target's, or ''."""
    if not leg.goal:
        return None, None, ""
    doubt = "" if leg.entry else plan.stop_doubts.get(target.instrument, "")
    if leg.entry or (target.stop_rule is None and not doubt):
        return target.stop_price, target.stop_rule, ""
    goal = await goal_at(view, key)
    known = goal if goal is not None and goal.quantity * leg.goal > 0 else None
    if doubt:
        # By a wrong price it would be far beyond the market, where it closes at once what it is to
        # protect, or so far away that it protects nothing (D10).
        price, rule = (known.stop_price, known.stop_rule) if known else (None, None)
        return price, rule, doubt if price != target.stop_price else ""
    if known is None:
        return target.stop_price, target.stop_rule, ""
    # What the engine has moved towards the price between the runs stays there.
    return tighter(known.stop_price, target.stop_price, leg.goal), target.stop_rule, ""


async def _capital(view: StoreView, broker_id: str, day: str) -> Decimal | None:
    """Return what an account's entries are sized by: what its user has set, or the day's funds."""
    own = await read_setting(view, f"capital|{broker_id}")
    return Decimal(str(own["value"])) if own else await capital_of_day(view, broker_id, day)


def _wanted(goal: Goal | None, held: int, day: str) -> int | None:
    """Return what a goal wants on a day, None where nothing was decided that still holds.

    A goal of an earlier day is none: intraday units are squared off by then, and a kept one would
    look like an entry that is still to come. But an exit that was decided stays decided while the
    ledger holds something: units that are carried wait over night for it.
    """
    if goal is None:
        return None
    if goal.day == day:
        return goal.quantity
    return 0 if held and goal.quantity * held <= 0 else None


def _waiting_exit(target: Target, current: AccountState, asked: _EntryAnswer) -> str:
    """Say that an exit waits for the end of a pause, '' where it does not (C2).

    That nothing is entered goes without saying beside it; what is held stays open, and that is
    what a user would not expect after "the signal was Short".
    """
    gate = asked.facts.gate
    if gate is None or gate.mode is not TradingMode.PAUSED:
        return ""
    what = f"{Side.of(-current.held).word} {abs(current.held)} {target.instrument.symbol}"
    return f"paused: {what} waits until the pause ends"


@dataclass(slots=True)
class _EntryAnswer:
    """The checks about one entry; remembers the last answer."""

    facts: Facts
    version: int
    largest_order: int | None
    denial: Denial | None = None

    def why_not(self, units: int) -> str:
        """Return why an entry of so many units is not sent, or ''."""
        facts = self.facts  # of no size
        if units:
            orders = len(slices(units, self.largest_order))
            facts = replace(facts, quantity=units, slices=orders)
        self.denial = first_denial(facts)
        return self.denial.reason if self.denial else ""

    @property
    def is_by_choice(self) -> bool:
        """Whether a user's own switch or mode is what keeps the entry back."""
        return self.denial is not None and self.denial.code in _BY_CHOICE

    @property
    def mark(self) -> str:
        """Name a denial that lasts by its cause, '' for others."""
        if self.denial is None or self.denial.code not in SAID_ONCE or self.facts.gate is None:
            return ""
        if self.denial.code == "SHUT":  # one cause for every instrument, until the next day
            return f"{self.facts.gate.broker_id}|{self.denial.code}|{self.denial.reason}"
        where = f"{self.facts.gate.broker_id}|{self.facts.instrument}"
        return f"{where}|{self.denial.code}|{self.version}"


@dataclass(slots=True)
class _Draft:
    """What was planned so far, of all accounts.

    Attributes:
        entries: Intents, and those that are born SUBMITTED.
        exits: Those that are born SUBMITTED; all others are worked out from their goals.
        notes: Why nothing is entered, by account.
        said: Denials that last, by a limit or a guard, that are told in this run.
        loud: Accounts whose note is news.
        is_changed: Whether anything that is held is to be less.
    """

    entries: list[Order] = field(default_factory=list)
    exits: list[Order] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    loud: set[str] = field(default_factory=set)
    is_changed: bool = False


_WAITING = {OrderState.INITIALIZED, OrderState.HELD}
_BY_CHOICE = frozenset({"PAUSED", "EXIT_ONLY", "DISABLED", "OFF_HERE"})


async def _some_at_a_time(every: Iterable[T], *, pauses: bool) -> AsyncIterator[T]:
    """Yield all, and let others go on now and then if there shall be pauses."""
    for number, one in enumerate(every):
        if pauses and number and number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        yield one
