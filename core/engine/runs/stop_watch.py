"""Watches the prices of stops, a judge of the look at prices (rows D9, R7).

A stop that does not rest at the broker is only worth something while its price is looked at: a
position whose price is through its stop is closed at the market; a price that is far beyond it is
looked at once more, for it may be another instrument's. A stop that rests is looked after as well:
a broker that does not say whether a stop has triggered shows it by a price that is through it while
nothing fills.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from core.domain.goal import Goal
from core.domain.instrument import InstrumentId
from core.domain.money import rupees
from core.domain.order import LIVE_STATES, Order, Purpose
from core.domain.price_check import band_of
from core.domain.protection import PRICE_LIVES, WATCH_EVERY_S, LastPrice
from core.domain.sessions import trading_day
from core.domain.stop_rule import MOVE_EVERY, moved_stop
from core.engine.accounts.accounts import Accounts
from core.engine.orders.gate import gate_at, is_pursued
from core.engine.orders.goals import goals_of, move_stop
from core.engine.orders.journal import Journal
from core.engine.orders.ledgers import held_ledgers
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.prices import Prices
from core.engine.orders.stop_hits import StopHits
from core.engine.runs.price_watch import Need
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["StopWatch", "Watched", "watched_stop"]

_log = logging.getLogger(__name__)

_RESTING_EVERY_S = 6.0
"""How often prices are asked for while every stop rests at its broker."""
_ALLOWANCE = Decimal("0.002")
_UNFILLED_FOR_S = 15.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A stop whose price is looked at.

    Attributes:
        held: Signed units that it protects.
        price: Its trigger, rupees.
        rests: Whether it rests at the broker for all of them.
        cost: Their average price.
    """

    goal: Goal
    held: int
    price: Decimal
    rests: bool
    cost: Decimal = Decimal(0)

    def is_through(self, last: Decimal) -> bool:
        """Whether a price is at the stop or beyond it."""
        return last <= self.price if self.held > 0 else last >= self.price


def watched_stop(goal: Goal, held: int, orders: list[Order]) -> Watched | None:
    """Return the stop of a ledger that has to be watched, None when there is none.

    Args:
        goal: What is wanted.
        held: The ledger's signed units.
        orders: Today's orders of the ledger.
    """
    if goal.stop_price is None or held == 0 or goal.quantity * held <= 0:
        return None
    if goal.no_rest is not None and not goal.no_rest.is_watched:
        return None
    resting = [one for one in orders if one.purpose is Purpose.STOP and one.state in LIVE_STATES]
    theirs = [one.request.trigger_price for one in resting if one.is_changed_outside]
    price = theirs[0] if theirs and theirs[0] is not None else goal.stop_price
    # A stop that the broker did not move rests at its old price: the new one is watched here.
    there = [one for one in resting if _is_near(one.request.trigger_price, price)]
    rests = sum(one.leaves_quantity for one in there) >= abs(held)
    return Watched(goal, held, price, rests)


def _is_near(trigger: Decimal | None, price: Decimal) -> bool:
    """Whether a trigger is the price that is wanted, but for the tick."""
    return trigger is not None and abs(trigger - price) <= price * _ALLOWANCE


def _is_close(name: InstrumentId, one: Decimal, other: Decimal) -> bool:
    """Whether two prices can be of one instrument within some seconds."""
    return abs(one - other) * 100 <= band_of(name) * max(one, other)


class StopWatch:
    """Looks at prices and closes what is through its stop; with ``only``, on that account alone.

    ``wake`` lets an account's worker take a turn.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        hours: MarketHours,
        prices: Prices,
        hits: StopHits,
        wake: Callable[[str], None],
        only: str | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._hours = hours
        self._prices = prices
        self._hits = hits
        self._wake = wake
        self._only = only
        self._seen: list[Watched] = []
        self._through_since: dict[str, float] = {}
        self._looks: dict[str, tuple[LastPrice | None, LastPrice]] = {}
        self._far: dict[str, LastPrice] = {}

    async def watched_here(self) -> tuple[InstrumentId, ...]:
        """Return the instruments of stops that the broker does not have: watched here alone.

        A stop that goes out in a moment, for a fill, is not among them.
        """
        today = trading_day(self._clock.market_now())
        here = {
            one.goal.instrument
            for one in await self._watched()
            if not one.rests and one.goal.on(today).no_rest is not None
        }
        return tuple(sorted(here, key=str))

    async def need(self) -> Need | None:
        """Return what the stops need that are watched now."""
        watched = self._seen = await self._watched()
        if not watched:
            return None
        every_s = _RESTING_EVERY_S if all(one.rests for one in watched) else WATCH_EVERY_S
        return Need(frozenset(one.goal.instrument for one in watched), every_s)

    async def judge(self) -> None:
        """Close what is through its stop, and move what follows its position."""
        for one in self._seen:
            await self._judge(one)
            await self._follow(one)

    async def _watched(self) -> list[Watched]:
        found: list[Watched] = []
        today = trading_day(self._clock.market_now())
        held = await held_ledgers(self._store)
        every = await goals_of(self._store, None) if held else []
        for account in await self._accounts.all() if every else ():
            broker_id = account.broker_id
            if self._only not in {None, broker_id}:
                continue
            ledgers = {one.key: one for one in held.get(broker_id, ())}
            goals = [goal for goal in every if goal.key in ledgers and goal.stop_price]
            if not goals:
                continue
            gate = await gate_at(self._store, broker_id)
            orders = await self._journal.of_day(broker_id, today)
            for goal in goals:
                if gate is None or not is_pursued(goal, gate):
                    continue
                if not self._hours.trades_now(goal.instrument):
                    continue
                ledger = ledgers[goal.key]
                stop = watched_stop(goal, ledger.quantity, _of(goal, orders))
                if stop is not None:
                    found.append(replace(stop, cost=ledger.average_price))
        return found

    async def _judge(self, one: Watched) -> None:
        price = self._prices.get(one.goal.instrument)
        if price is None or self._clock.now() - price.at > PRICE_LIVES:
            return
        is_doubted = self._is_doubted(one, price)
        if not one.is_through(price.last):
            self._through_since.pop(one.goal.key, None)
        elif is_doubted and not one.rests:
            # A broker's own stop goes by trades; here one wrong answer would sell what it protects.
            _log.warning("%s: %s is looked at once more", one.goal.instrument, price.last)
        elif not one.rests:
            await self._close(one, f"I watch it myself, and the price is {rupees(price.last)}")
        else:
            await self._judge_resting(one, price)

    def _is_doubted(self, one: Watched, price: LastPrice) -> bool:
        """Whether a price is so far beyond a stop that the next look has to show it as well."""
        key, name = one.goal.key, one.goal.instrument
        before = self._far.pop(key, None)
        if not one.is_through(price.last) or _is_close(name, one.price, price.last):
            return False
        if before and before.at != price.at and _is_close(name, before.last, price.last):
            return False
        self._far[key] = price
        return True

    async def _follow(self, one: Watched) -> None:
        """Move a stop by its rule: to the entry price, behind the best price."""
        goal, price, now = one.goal, self._prices.get(one.goal.instrument), self._clock.now()
        if goal.stop_rule is None or goal.stop_price is None or price is None:
            return
        before, seen = self._looks.get(goal.key, (None, price))
        if seen.at != price.at:
            # An answer that failed leaves the price of the look before: that is one look.
            before = seen if price.at - seen.at <= PRICE_LIVES else None
        self._looks[goal.key] = (before, price)
        # What a person moved at the broker is theirs for the day.
        is_theirs = one.price != goal.stop_price
        since_set = now - goal.stop_set_at if goal.stop_set_at else MOVE_EVERY
        # Below zero the clock was set back since.
        is_early = timedelta(0) <= since_set < MOVE_EVERY
        if before is None or is_theirs or is_early or now - price.at > PRICE_LIVES:
            return
        # By the worse of two looks: one price that is wrong moves no stop.
        worse = min if one.held > 0 else max
        last = worse(before.last, price.last)
        stop = moved_stop(
            goal.stop_rule, held=one.held, cost=one.cost, stop=goal.stop_price, last=last
        )
        if stop is None:
            return
        day = trading_day(self._clock.market_now())
        if await move_stop(self._store, goal, stop, at=now, day=day):
            self._wake(goal.broker_id)

    async def _judge_resting(self, one: Watched, price: LastPrice) -> None:
        """Close what a resting stop should have closed by now."""
        now = self._clock.monotonic()
        since = self._through_since.setdefault(one.goal.key, now)
        if now - since >= _UNFILLED_FOR_S:
            how = f"the price is {rupees(price.last)}, and the stop at the broker has not closed it"
            await self._close(one, how)

    async def _close(self, one: Watched, how: str) -> None:
        self._through_since.pop(one.goal.key, None)
        if await self._hits.close(one.goal, one.price, how):
            self._wake(one.goal.broker_id)


def _of(goal: Goal, orders: list[Order]) -> list[Order]:
    return [
        order
        for order in orders
        if (order.strategy, order.request.instrument, order.request.product)
        == (goal.strategy, goal.instrument, goal.product)
    ]
