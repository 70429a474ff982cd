"""Guards on the day's result, as users set them (row R5).

A change that tightens holds at once. One that loosens, or removes a part, in the session waits for
a second confirmation two minutes later, good until fifteen; it is stored, so a restart keeps it. A
locked guard cannot be loosened before the next trading day. Every change names the version that the
user saw: of two users at once the second is told what the first has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from core.domain.account import Account
from core.domain.account_day import AccountDay
from core.domain.command import Command
from core.domain.guard_views import GuardPreview, GuardView, PendingView, guard_words
from core.domain.identifiers import is_paper
from core.domain.instrument import Segment
from core.domain.result_guard import (
    Guard,
    GuardDay,
    GuardScope,
    ScopeKind,
    floor_of,
    looser,
    problem_of,
    step,
)
from core.domain.sessions import IST, trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.orders.market_hours import MarketHours
from core.engine.runs.settings import StrategySettings
from core.engine.safeguards.day_results import DayResults
from core.engine.safeguards.guard_store import (
    Pending,
    StoredGuard,
    guard_at,
    guards_of,
    put_guard,
    put_pending,
)
from core.engine.safeguards.result_guards import day_of_scope
from core.errors import NotFound, UserError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["CONFIRM_FROM", "CONFIRM_UNTIL", "GuardSettings"]

CONFIRM_FROM = timedelta(minutes=2)
"""How long after the first confirmation a looser guard can be confirmed a second time."""
CONFIRM_UNTIL = timedelta(minutes=15)
_LONGEST_BREAK = 15
_ALL = GuardScope(ScopeKind.ALL)


class GuardSettings:
    """Shows and changes guards; in memory it keeps when a looser one was asked for."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        hours: MarketHours,
        accounts: Accounts,
        strategies: StrategySettings,
        results: DayResults,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._hours = hours
        self._accounts = accounts
        self._strategies = strategies
        self._results = results
        self._asked: dict[str, float] = {}

    # Looking

    async def overview(self) -> tuple[GuardView, ...]:
        """Return all accounts together, each account, and the strategies that have a guard."""
        accounts = [one for one in await self._accounts.all() if one.broker.is_supported]
        if not accounts:
            return ()
        stored = {one.scope: one for one in await guards_of(self._store)}
        scopes = [_ALL]
        for account in accounts:
            scopes.append(GuardScope(ScopeKind.ACCOUNT, account.broker_id))
            scopes += [
                scope
                for scope, one in stored.items()
                if scope.strategy and scope.broker_id == account.broker_id and one.guard.is_set
            ]
        days = {one.broker_id: await self._results.of(one) for one in accounts}
        return tuple(
            self._view(stored.get(scope, StoredGuard(scope)), accounts, days) for scope in scopes
        )

    async def scopes(self) -> tuple[GuardScope, ...]:
        """Return everything that can have a guard, or has one of a strategy that is gone."""
        found = [_ALL, *(one.scope for one in await guards_of(self._store))]
        for account in await self._accounts.all():
            if account.broker.is_supported:
                found.append(GuardScope(ScopeKind.ACCOUNT, account.broker_id))
                found += [
                    GuardScope(ScopeKind.STRATEGY, account.broker_id, name)
                    for name in self._strategies.registry
                ]
        return tuple(dict.fromkeys(found))

    async def get(self, scope: GuardScope) -> GuardView:
        """Return one scope; raises ``NotFound`` for an account or strategy that is gone."""
        return await self._view_of(await guard_at(self._store, scope))

    async def _view_of(self, one: StoredGuard) -> GuardView:
        accounts = [one for one in await self._accounts.all() if one.broker.is_supported]
        covered = [account for account in accounts if one.scope.includes(account.broker_id)]
        if not covered and one.scope.broker_id:
            raise NotFound("That account is not connected any more. Open /guard again.")
        days = {account.broker_id: await self._results.of(account) for account in covered}
        return self._view(one, accounts, days)

    def _view(
        self, one: StoredGuard, accounts: Sequence[Account], days: dict[str, AccountDay]
    ) -> GuardView:
        covered = [a for a in accounts if one.scope.includes(a.broker_id)]
        day = day_of_scope(one.scope, covered, days)
        why = day.why
        if why and not one.scope.broker_id:
            names = {a.broker_id: a.label for a in accounts}
            why = f"{names.get(day.broker_id, day.broker_id)}: {why}"
        age_s = None
        if day.prices_at is not None:
            age_s = round((self._clock.now() - day.prices_at).total_seconds())
        today = self._today()
        return GuardView(
            one.scope,
            self._name(one.scope, covered),
            one.guard,
            one.version,
            day.result,
            why,
            age_s,
            one.on(today),
            one.locked_until if one.is_locked(today) else "",
            self._pending_view(one.pending),
            not one.scope.broker_id and any(is_paper(a.broker_id) for a in accounts),
        )

    def _name(self, scope: GuardScope, covered: Sequence[Account]) -> str:
        if scope.kind is ScopeKind.ALL:
            return "All accounts"
        if scope.kind is ScopeKind.ACCOUNT:
            return covered[0].label
        known = self._strategies.registry.get(scope.strategy)
        return f"{known.title if known else scope.strategy} · {covered[0].label}"

    def _pending_view(self, pending: Pending | None) -> PendingView | None:
        if pending is None or self._waited(pending) > CONFIRM_UNTIL:
            return None
        asked_at = self._clock.now() - self._waited(pending)
        return PendingView(
            pending.id,
            pending.guard,
            self._clock.market_at(asked_at + CONFIRM_FROM),
            self._clock.market_at(asked_at + CONFIRM_UNTIL),
        )

    # Changing

    async def preview(self, scope: GuardScope, guard: Guard) -> GuardPreview:
        """Return what a change would do, before a user confirms it.

        Raises:
            UserError: It cannot be set: its values, or the lock.
        """
        if problem := problem_of(guard):
            raise UserError(problem)
        one = await guard_at(self._store, scope)
        view = await self._view_of(one)
        parts = self._checked(one, guard)
        at_once = None
        if view.result is not None and guard.is_set and view.day.fired is None:
            _, at_once = step(guard, self._day_of(one, guard), view.result.judged)
        return GuardPreview(view, guard, parts, self._must_wait(parts), at_once)

    async def set(
        self, command: Command, scope: GuardScope, guard: Guard, version: int
    ) -> GuardView:
        """Change a guard, or keep a looser one until its second confirmation.

        Args:
            command: Who asks.
            scope: What it covers.
            guard: What it becomes.
            version: Of the guard that the user saw.

        Raises:
            UserError: It cannot be set, is locked, or somebody has changed it meanwhile.
        """
        if problem := problem_of(guard):
            raise UserError(problem)
        pending = Pending(_id_of(command), guard, self._clock.now(), str(command.user_id))
        await self._accounts_of(scope)

        async def body(view: StoreView) -> bool:
            one = self._same_version(await guard_at(view, scope), version)
            if self._must_wait(self._checked(one, guard)):
                await put_pending(view, one, pending)
                return True
            await self._write(view, one, guard, command)
            return False

        if await self._store.transaction(body, nonce=f"guard:{command.id}"):
            self._asked[pending.id] = self._clock.monotonic()
        return await self.get(scope)

    async def confirm(self, command: Command, scope: GuardScope, pending_id: str) -> GuardView:
        """Confirm a looser guard a second time.

        Raises:
            UserError: It is too early or too late, or nothing waits any more.
        """

        async def body(view: StoreView) -> None:
            one = await guard_at(view, scope)
            pending = one.pending
            if pending is None or pending.id != pending_id:
                raise UserError("That change waits no more: the guard was changed since.")
            waited = self._waited(pending)
            if waited > CONFIRM_UNTIL:
                raise UserError(
                    "That was asked for more than fifteen minutes ago; ask for it again."
                )
            if waited < CONFIRM_FROM:
                left = CONFIRM_FROM - waited
                raise UserError(f"Too early: confirm it again in {_minutes(left)}.")
            self._checked(one, pending.guard)
            await self._write(view, one, pending.guard, command)

        await self._store.transaction(body, nonce=f"guard-confirm:{command.id}")
        return await self.get(scope)

    async def keep(self, command: Command, scope: GuardScope) -> GuardView:
        """Drop a looser guard that waits: the present one stays."""

        async def body(view: StoreView) -> None:
            await put_pending(view, await guard_at(view, scope), None)

        await self._store.transaction(body, nonce=f"guard-keep:{command.id}")
        return await self.get(scope)

    async def lock(self, command: Command, scope: GuardScope, version: int) -> GuardView:
        """Lock a guard: it cannot be loosened, removed or unlocked before the next trading day."""
        until = self._locked_until()

        async def body(view: StoreView) -> None:
            one = self._same_version(await guard_at(view, scope), version)
            if not one.guard.is_set:
                raise UserError("There is no guard to lock; set a stop, a target or a trail first.")
            locked = replace(one, locked_until=max(until, one.locked_until))
            await self._write(view, locked, one.guard, command)

        await self._store.transaction(body, nonce=f"guard-lock:{command.id}")
        return await self.get(scope)

    async def _accounts_of(self, scope: GuardScope) -> None:
        if scope.broker_id:
            await self._accounts.get(scope.broker_id)

    async def _write(
        self, view: StoreView, one: StoredGuard, guard: Guard, command: Command
    ) -> None:
        await put_guard(
            view,
            replace(
                one,
                guard=guard,
                version=one.version + 1,
                changed_at=self._clock.now(),
                changed_by=str(command.user_id),
                pending=None,
                state=self._day_of(one, guard),
            ),
        )

    def _day_of(self, one: StoredGuard, guard: Guard) -> GuardDay:
        """Return the state of today under a changed guard: the high stays, the floor follows."""
        day = one.on(self._today())
        floor = floor_of(guard.trail, day.highest)
        kept = guard.trail is not None and "trail" not in looser(one.guard, guard)
        if kept and day.floor is not None:
            floor = day.floor if floor is None else max(floor, day.floor)
        return replace(day, floor=floor)

    def _same_version(self, one: StoredGuard, version: int) -> StoredGuard:
        if one.version == version:
            return one
        at = "" if one.changed_at is None else f" at {self._clock.market_at(one.changed_at):%H:%M}"
        raise UserError(
            f"User {one.changed_by or 'unknown'} has changed this guard{at}: it is "
            f"{guard_words(one.guard)} now. Nothing of yours was changed; look, and decide again."
        )

    def _checked(self, one: StoredGuard, guard: Guard) -> tuple[str, ...]:
        """Return which parts a change makes looser; raise ``UserError`` where it is locked."""
        parts = looser(one.guard, guard)
        if parts and one.is_locked(self._today()):
            until = date.fromisoformat(one.locked_until)
            raise UserError(
                f"This guard is locked until {until:%a %-d %b}: it can be tightened, and not "
                f"loosened ({', '.join(parts)})."
            )
        return parts

    def _must_wait(self, parts: Sequence[str]) -> bool:
        return bool(parts) and self._hours.is_any_open()

    def _waited(self, pending: Pending) -> timedelta:
        """Return how long ago a looser guard was asked for, by a clock that never steps.

        After a restart only the stored time is left; one that lies in the future counts as now.
        """
        asked = self._asked.get(pending.id)
        if asked is not None:
            return timedelta(seconds=self._clock.monotonic() - asked)
        return max(timedelta(0), self._clock.now() - pending.asked_at)

    def _locked_until(self) -> str:
        """Return the first day on which a guard that is locked now can be loosened again.

        A lock holds for the session that trades now or comes next, and ends with the trading day
        after it.
        """
        days = self._trading_days(self._clock.market_now())
        return days[1].isoformat()

    def _trading_days(self, now: datetime) -> list[date]:
        """Return the next two trading days whose session is not over."""
        found: list[date] = []
        today = now.astimezone(IST).date()
        for ahead in range(2 * _LONGEST_BREAK):
            day = today + timedelta(days=ahead)
            try:
                window = self._calendar.exit_session(
                    day, Segment.DERIVATIVES, has_derivatives=False
                )
            except LookupError:
                window = None
            if window is not None and now < window.close_at:
                found.append(day)
        # Where the calendar knows no more, the next day has to do.
        return [*found, today + timedelta(days=1), today + timedelta(days=2)][:2]

    def _today(self) -> str:
        return trading_day(self._clock.market_now())


def _id_of(command: Command) -> str:
    return hashlib.blake2b(command.id.encode(), digest_size=6).hexdigest()


def _minutes(left: timedelta) -> str:
    minutes, seconds = divmod(max(1, round(left.total_seconds())), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
