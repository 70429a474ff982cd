"""What an account that is connected again keeps of its safeguards (rows R1 and R5).

A disconnection ends an account, and a new connection of the same broker user begins another one.
Limits, a daily loss that was reached, guards and what they have shut go over to it at its first
login: else that would be a way around a lock, and around the five minutes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.domain.account import Account
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode, stricter
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.modes import write_mode
from core.engine.orders.gate import gate_at
from core.engine.orders.limits import limits_at, set_limit, set_tripped
from core.engine.orders.shut import reason_of, shut_day
from core.engine.safeguards.guard_store import guard_at, guards_of, put_guard
from core.ports.clock import Clock
from core.ports.store import StoreView

__all__ = ["Reconnection"]

_KEPT_FOR = timedelta(days=7)
"""How long after a disconnection; a lock and a daily loss that nobody answered are of days."""
_BY = "connected again"


class Reconnection:
    """Takes safeguards over; it keeps nothing."""

    def __init__(self, clock: Clock, accounts: Accounts) -> None:
        self._clock = clock
        self._accounts = accounts

    async def take_over(self, view: StoreView, account: Account, user_id: str) -> None:
        """Give an account what its broker user had, in the transaction of its first login."""
        since = self._clock.now() - _KEPT_FOR
        before = await self._accounts.disconnected_of(view, account.broker.name, user_id, since)
        if before is not None:
            await self._take_limits(view, before, account.broker_id)
            await self._take_guards(view, before, account.broker_id)

    async def _take_limits(self, view: StoreView, before: str, broker_id: str) -> None:
        now, old = self._clock.now(), await limits_at(view, before)
        present = await limits_at(view, broker_id)
        for kind in LimitKind:
            value = old.limits.of(kind)
            if value is not None and present.limits.of(kind) is None:
                await set_limit(view, broker_id, kind, value, at=now, by=_BY)
        if old.tripped is None:
            return
        scope = broker_id if old.tripped.scope == before else old.tripped.scope
        await set_tripped(view, broker_id, replace(old.tripped, scope=scope), at=now, by=_BY)
        gate = await gate_at(view, broker_id)
        mode = TradingMode.EXIT_ONLY
        if gate is not None and stricter(gate.account_mode, mode) is mode:
            await write_mode(view, mode, broker_id, at=now, by=_BY)

    async def _take_guards(self, view: StoreView, before: str, broker_id: str) -> None:
        day = trading_day(self._clock.market_now())
        for one in await guards_of(view):
            scope = replace(one.scope, broker_id=broker_id)
            if one.scope.broker_id != before or (await guard_at(view, scope)).version:
                continue
            await put_guard(view, replace(one, scope=scope, blind=""))
            reason = await reason_of(view, one.scope, day)
            if reason:
                await shut_day(
                    view,
                    scope,
                    day,
                    reason=reason,
                    at=self._clock.now(),
                    broker_ids=[broker_id],
                )
