"""Forgets what no day to come will ask for (decision 0019), while nothing trades.

What has a time goes a day's worth a tick, oldest first, by indexes that are there for other
reasons; the setting ``pruned|...`` holds up to when that was done. Orders, trades and ledgers stay
for good, those of finished days in a smaller place (``finished_days.py``).

A goal has no end of its own: it stays after its position, for it remembers the signal that was
entered on and what a person decided about its stop. Once a day those go that were set long ago,
where nothing is held and no order is under way.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.orders.goals import forget_goals
from core.engine.orders.journal import Journal, forget_steps
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.pauses import key_of
from core.engine.orders.run_rows import forget_quiet_runs
from core.engine.outbox import forget_notices
from core.engine.runs.finished_days import FinishedDays
from core.engine.runs.requests import forget_requests
from core.engine.stored_settings import read_setting, write_setting
from core.long_lived import collect_all
from core.ports.clock import Clock
from core.ports.store import Change, Store

__all__ = ["STEPS_KEPT", "Expire", "Pruning"]

_log = logging.getLogger(__name__)
_DAY = timedelta(days=1)
STEPS_KEPT = timedelta(days=400)
"""A financial year, and the time in which its return is made."""
_SAID_KEPT = timedelta(days=30)
_GOALS_KEPT = timedelta(days=8)
"""Longer than the longest holiday, and than any schedule lets a signal be fresh."""

_FEW_EXPIRED, _MANY_EXPIRED = 50, 500
"""Of each collection, a tick: some machines only run while something trades."""

Expire = Callable[[datetime, datetime | None, int], Awaitable[int]]
"""Removes at most so many expired documents of each collection, where the server does not: it is
given the time, when the installation began, and how many."""
_Forget = Callable[[datetime, datetime], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What goes together: its name, how long it is kept, and how a time of it is removed."""

    name: str
    kept: timedelta
    forget: _Forget


class Pruning:
    """Prunes in small steps.

    Args:
        store: What is pruned.
        clock: Real time ages, market time says the day.
        accounts: Those that there ever were.
        journal: For what is held and under way.
        hours: Nothing large is removed while something trades.
        strategies: Those whose quiet runs go.
        expire: For a server that does not remove by its expiry indexes itself.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        hours: MarketHours,
        strategies: Sequence[str],
        expire: Expire | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._hours = hours
        self._strategies = strategies
        self._expire = expire
        self._finished = FinishedDays(store, clock, accounts, hours)
        self._goals_of_day = ""
        self._collected_on = ""

    async def tick(self) -> None:
        """Take a step of each kind, unless something trades; of what expires a small one then."""
        is_open = self._hours.is_any_open()
        if self._expire is not None:
            most = _FEW_EXPIRED if is_open else _MANY_EXPIRED
            gone = await self._expire(self._clock.now(), await self._accounts.first_at(), most)
            if gone:
                _log.info("%d expired documents were removed", gone)
        if is_open:
            return
        for kind in (
            _Kind("notices", _SAID_KEPT, partial(forget_notices, self._store)),
            _Kind("runs", _SAID_KEPT, self._runs),
            _Kind("requests", _SAID_KEPT, partial(forget_requests, self._store)),
            _Kind("steps", STEPS_KEPT, self._steps),
        ):
            await self._step(kind)
        await self._goals()
        await self._finished.step()
        day = trading_day(self._clock.market_now())
        if self._collected_on != day:
            self._collected_on = day
            collect_all()

    async def _step(self, kind: _Kind) -> None:
        """Remove the oldest day of a kind that is older than it is kept."""
        name = f"pruned|{kind.name}"
        row = await read_setting(self._store, name)
        since = row["until"] if row else await self._accounts.first_at()
        until = since + _DAY if since else None
        if since is None or until is None or until > self._clock.now() - kind.kept:
            return
        gone = await kind.forget(since, until)
        # Afterwards: a day that a crash left half is done again.
        await write_setting(self._store, name, Change(set={"until": until}))
        if gone:
            _log.info("%d old %s were removed", gone, kind.name)

    async def _runs(self, since: datetime, until: datetime) -> int:
        times = self._clock.market_at(since), self._clock.market_at(until)
        return sum([await forget_quiet_runs(self._store, n, *times) for n in self._strategies])

    async def _steps(self, since: datetime, until: datetime) -> int:
        # Of each day one such time begins. Steps have no index of their own times: that would cost
        # the embedded server twice what a step does.
        day = trading_day(self._clock.market_at(since))
        ids = await self._accounts.ids()
        return sum([await forget_steps(self._store, one, day, since, until) for one in ids])

    async def _goals(self) -> None:
        """Forget goals of positions that are long over, once a day."""
        day = trading_day(self._clock.market_now())
        if self._goals_of_day == day:
            return
        before = self._clock.now() - _GOALS_KEPT
        for account in await self._accounts.all():
            ledgers = await self._journal.ledgers(account.broker_id)
            held = {ledger.key for ledger in ledgers if ledger.quantity}
            working = {key_of(order) for order in await self._journal.pending(account.broker_id)}
            await forget_goals(self._store, account.broker_id, before=before, keep=held | working)
        self._goals_of_day = day
