"""Each morning: an instrument that a strategy trades and that left the brokers' lists (D10)."""

from __future__ import annotations

from datetime import time

from core.domain.instrument import InstrumentId
from core.domain.notices.post import Post
from core.domain.notices.runs import InstrumentGone
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.orders.ledgers import held_ledgers
from core.engine.outbox import Outbox
from core.engine.runs.settings import StrategySettings
from core.engine.runs.symbols import Symbols
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["SymbolWatch"]

_FROM = time(8, 45)  # the brokers' lists of the day are out


class SymbolWatch:
    """Notifies, once a day, of an instrument that a strategy trades or holds and that is gone."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        accounts: Accounts,
        symbols: Symbols,
        strategies: StrategySettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._accounts = accounts
        self._symbols = symbols
        self._strategies = strategies
        self._looked: set[tuple[str, str, InstrumentId]] = set()

    async def tick(self) -> None:
        """Look at every strategy from a quarter to nine, at each instrument once a day."""
        now = self._clock.market_now()
        if now.time() < _FROM:
            return
        day = trading_day(now)
        for name, instruments in (await self._chosen()).items():
            wanted = [one for one in sorted(instruments) if (day, name, one) not in self._looked]
            if not wanted or not await self._symbols.are_of_today():
                continue
            for instrument, reason in (await self._symbols.gone(wanted)).items():
                await self._post(day, name, instrument, reason)
            self._looked.update((day, name, one) for one in wanted)

    async def _chosen(self) -> dict[str, set[InstrumentId]]:
        """Return what each strategy trades while it is enabled, and what it holds anyway."""
        found = {
            name: set(await self._strategies.instruments(name))
            for name in self._strategies.registry
        }
        held = await held_ledgers(self._store)
        for account in await self._accounts.all() if held else ():
            for ledger in held.get(account.broker_id, ()):
                found.setdefault(ledger.strategy, set()).add(ledger.instrument)
        return found

    async def _post(self, day: str, name: str, instrument: InstrumentId, reason: str) -> None:
        notice = InstrumentGone(name, str(instrument), reason)

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=f"{notice.kind}:{name}|{instrument}|{day}")
        except AlreadyDone:
            return
