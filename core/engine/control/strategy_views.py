"""Strategies as the chat shows them: settings, next slot, last run, accounts (D4, D6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.domain.sessions import trading_day
from core.domain.views import StrategyView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import global_mode
from core.engine.control.views import Views
from core.engine.runs.outlook import keeps_out
from core.engine.runs.scheduler import Scheduler
from core.engine.runs.settings import StrategySettings
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["StrategyViews"]


class StrategyViews:
    """Puts the views of strategies together; changes nothing."""

    def __init__(
        self,
        store: Store,
        settings: StrategySettings,
        accounts: Accounts,
        scheduler: Scheduler,
        views: Views,
        clock: Clock,
        proof_address: Callable[[str], str | None],
    ) -> None:
        self._clock = clock
        self._proof_address = proof_address
        self._store = store
        self._settings = settings
        self._accounts = accounts
        self._scheduler = scheduler
        self._views = views

    async def all(self) -> tuple[StrategyView, ...]:
        """Return all strategies."""
        return tuple([await self.get(name) for name in self._settings.registry])

    def title(self, name: str) -> str:
        """Return a strategy's title; raises ``NotFound``."""
        return self._settings.strategy(name).title

    async def get(self, name: str) -> StrategyView:
        """Return one strategy; raises ``NotFound``."""
        strategy = self._settings.strategy(name)
        row = await self._settings.row(name)
        values = await self._settings.parameters(name)
        accounts = await self._accounts.all()
        mode, by_id = await global_mode(self._store), {one.broker_id: one for one in accounts}
        assigned = [
            replace(
                one,
                kept_out=await keeps_out(
                    self._store,
                    by_id[one.broker_id],
                    name,
                    mode,
                    day=trading_day(self._clock.market_now()),
                    address=self._proof_address(one.broker_id),
                ),
            )
            for one in await self._settings.assignments(name, accounts)
        ]
        return StrategyView(
            name=name,
            title=strategy.title,
            description=strategy.description,
            is_enabled=row["enabled"],
            parameters=tuple((p, values[p.name]) for p in strategy.parameters),
            next_slot=await self._scheduler.next_slot(name),
            every_minutes=strategy.schedule(values).every_minutes,
            last_run=await self._views.last_run(name),
            assignments=tuple(assigned),
        )
