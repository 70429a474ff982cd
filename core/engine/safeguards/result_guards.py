"""Guards on the day's result: judged at every look at prices, fired once a day (row R5).

By results after charges, of what is known alone: while an account that a guard covers cannot be
read, or its positions are disputed, the guard does not fire, and the chat is told once. Old prices
are said as well, and are judged by.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from core.domain.account import Account
from core.domain.account_day import AccountDay
from core.domain.day_result import DayResult, together
from core.domain.notices.post import guard_blind_card, prices_old_card
from core.domain.notices.result_guards import GuardBlind, GuardPricesOld
from core.domain.protection import PRICE_LIVES
from core.domain.result_guard import GuardDay, GuardScope, step
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.outbox import Outbox
from core.engine.safeguards.guard_firing import Firing, GuardFiring
from core.engine.safeguards.guard_store import StoredGuard, guards_of, put_day, tell_blind
from core.errors import AlreadyDone, StoreError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["OLD_PRICE", "ResultGuards", "ScopeDay", "day_of_scope"]

_log = logging.getLogger(__name__)
OLD_PRICE = timedelta(seconds=5)
"""From how old a price on it is said beside every result that it made."""
_BLIND_FOR_S = 20.0
"""How long a result may be unknown before it is told: a fill on its way passes sooner."""
_BLIND_FOR_AT_MOST_S = 300.0
_FRESH_FOR_S = 60.0
"""How long prices must have been fresh before that is told."""
_KEEP_HIGHEST_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ScopeDay:
    """The day of all that a guard covers.

    Attributes:
        result: None while it is unknown.
        broker_id: The account that makes it unknown.
        why: Why, a sentence without its full stop.
        prices_at: Real time of the oldest price that counts; None while nothing is held.
    """

    result: DayResult | None
    broker_id: str = ""
    why: str = ""
    prices_at: datetime | None = None


def day_of_scope(
    scope: GuardScope, accounts: Sequence[Account], days: Mapping[str, AccountDay]
) -> ScopeDay:
    """Return the day of what a scope covers on these accounts; unknown where a part of it is."""
    results, times = [], []
    for account in accounts:
        day = days.get(account.broker_id)
        if day is None or day.result is None:
            why = day.why if day else "it was not looked at yet"
            return ScopeDay(None, account.broker_id, why)
        found = day.result
        if scope.strategy:
            found = day.by_strategy.get(scope.strategy, DayResult())
        if found.missing or found.is_since_entry:
            why = "a previous close of what was carried is not known"
            return ScopeDay(None, account.broker_id, next(iter(found.missing), why))
        results.append(found)
        if day.prices_at is not None:
            times.append(day.prices_at)
    return ScopeDay(together(results), prices_at=min(times, default=None))


class ResultGuards:
    """Judges guards; what it keeps in memory is the highest result since it was stored last."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        accounts: Accounts,
        firing: GuardFiring,
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._accounts = accounts
        self._firing = firing
        self._days: dict[str, GuardDay] = {}
        self._stored_at: dict[str, datetime] = {}
        self._unknown_since: dict[str, float] = {}
        self._blinded: Counter[str] = Counter()
        self._are_prices_old = False
        self._prices_were_old_at = 0.0
        self._numbers = count()

    async def accounts(self) -> frozenset[str]:
        """Return the accounts that a guard covers which is set, or has fired today."""
        today = self._today()
        at_work = [
            one.scope
            for one in await guards_of(self._store)
            if one.guard.is_set or one.on(today).fired
        ]
        if not at_work:
            return frozenset()
        present = await self._accounts.all()
        return frozenset(one.broker_id for scope in at_work for one in _covered(scope, present))

    async def judge(self, days: Mapping[str, AccountDay]) -> None:
        """Judge every guard by the days of the accounts that it covers."""
        oldest: list[datetime] = []
        failed: StoreError | None = None
        present = await self._accounts.all()
        for guard in await guards_of(self._store):
            try:
                oldest += await self._look_at(guard, _covered(guard.scope, present), days)
            except StoreError as error:
                # One that met a conflict is judged at the next look; the others are judged now.
                _log.warning("the guard of %s: %s", guard.scope.key, error)
                failed = error
        if failed is not None:
            raise failed
        await self._tell_age(min(oldest, default=None))

    async def _look_at(
        self, guard: StoredGuard, accounts: Sequence[Account], days: Mapping[str, AccountDay]
    ) -> list[datetime]:
        """Judge one guard, or keep shut what it has shut; return the time of its oldest price."""
        if guard.on(self._today()).fired is not None:
            await self._keep_shut(guard, accounts)
            return []
        if not guard.guard.is_set or not accounts:
            return []
        day = day_of_scope(guard.scope, accounts, days)
        await self._judge(guard, accounts, day)
        return [day.prices_at] if day.result and day.prices_at else []

    async def _keep_shut(self, guard: StoredGuard, accounts: Sequence[Account]) -> None:
        for account in accounts:
            await self._firing.keep_shut(guard, account)

    async def _judge(self, guard: StoredGuard, accounts: Sequence[Account], day: ScopeDay) -> None:
        await self._tell_sight(guard, day)
        if day.result is None:
            return
        state = self._state(guard)
        after, breach = step(guard.guard, state, day.result.judged)
        if breach is not None:
            age_s = 0
            if day.prices_at is not None:
                age_s = round((self._clock.now() - day.prices_at).total_seconds())
            firing = Firing(guard, after, breach, day.result, accounts, age_s)
            if await self._firing.fire(firing):
                _log.warning("the guard of %s fires: %s", guard.scope.key, breach)
            self._days.pop(guard.scope.key, None)
            return
        self._days[guard.scope.key] = after
        await self._keep(guard, after)

    def _state(self, guard: StoredGuard) -> GuardDay:
        """Return the state to judge by: the stored one, with what was reached since."""
        stored, seen = guard.on(self._today()), self._days.get(guard.scope.key)
        if seen is None or seen.day != stored.day or seen.highest is None:
            return stored
        highest = seen.highest if stored.highest is None else max(stored.highest, seen.highest)
        return replace(stored, highest=highest)

    async def _keep(self, guard: StoredGuard, after: GuardDay) -> None:
        """Store a state before anything is done by it: a new floor at once, a new high by times."""
        key, now = guard.scope.key, self._clock.now()
        stored = guard.on(self._today())
        if after == stored and guard.state.day == after.day:
            return
        is_floor = after.floor != stored.floor or guard.state.day != after.day
        stored_at = self._stored_at.get(key)
        if is_floor or stored_at is None or now - stored_at >= _KEEP_HIGHEST_EVERY:
            self._stored_at[key] = now
            await put_day(self._store, guard, after)

    # What is said

    async def _tell_sight(self, guard: StoredGuard, day: ScopeDay) -> None:
        """Say once that a guard cannot be judged, and once that it can be again."""
        key, now = guard.scope.key, self._clock.monotonic()
        if day.result is not None:
            self._unknown_since.pop(key, None)
            if guard.blind:
                await self._tell_blind(guard.scope, "", GuardBlind(key, "", ""))
            return
        since = self._unknown_since.setdefault(key, now)
        # Longer each time: of a broker that answers now and then not each pause is told.
        wait_s = min(_BLIND_FOR_S * 2 ** self._blinded[key], _BLIND_FOR_AT_MOST_S)
        if guard.blind or now - since < wait_s:
            return
        self._blinded[key] += 1
        await self._tell_blind(guard.scope, day.why, GuardBlind(key, day.broker_id, day.why))

    async def _tell_blind(self, scope: GuardScope, why: str, notice: GuardBlind) -> None:
        async def body(view: StoreView) -> None:
            if await tell_blind(view, scope, why):
                await self._outbox.post(view, guard_blind_card(notice))

        await self._commit("guard-blind", scope.key, body)

    async def _tell_age(self, oldest: datetime | None) -> None:
        """Say once that guards are judged by old prices, and once that they are fresh again."""
        age = timedelta(0) if oldest is None else self._clock.now() - oldest
        is_old, now = age > PRICE_LIVES, self._clock.monotonic()
        if is_old:
            self._prices_were_old_at = now
        # Where only the reads of positions bring prices, they are old before each of them.
        is_over = now - self._prices_were_old_at >= _FRESH_FOR_S
        if is_old is self._are_prices_old or not (is_old or is_over):
            return
        notice = GuardPricesOld(round(age.total_seconds()), is_over=not is_old)

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, prices_old_card(notice))

        await self._commit("guard-prices", "", body)
        self._are_prices_old = is_old

    async def _commit(
        self, what: str, key: str, body: Callable[[StoreView], Awaitable[None]]
    ) -> None:
        nonce = f"{what}:{key}|{self._clock.now().isoformat()}|{next(self._numbers)}"
        with suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)

    def _today(self) -> str:
        return trading_day(self._clock.market_now())


def _covered(scope: GuardScope, accounts: Sequence[Account]) -> list[Account]:
    """Return the accounts that a scope covers."""
    return [one for one in accounts if scope.includes(one.broker_id) and one.broker.is_supported]
