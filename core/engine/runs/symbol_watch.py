"""Each morning: an instrument that a strategy trades and that has left the brokers' lists (D10)."""

from __future__ import annotations

from datetime import time

from core.domain.instrument import InstrumentId
from core.domain.notices.post import Post
from core.domain.notices.runs import InstrumentGone
from core.domain.sessions import trading_day
from core.engine.outbox import Outbox
from core.engine.runs.settings import StrategySettings
from core.engine.runs.symbols import Symbols
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["SymbolWatch"]

_FROM = time(8, 45)  # the brokers' lists of the day are out


class SymbolWatch:
    """Notifies, once a day, of an instrument that an enabled strategy trades and that is gone."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        symbols: Symbols,
        strategies: StrategySettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._symbols = symbols
        self._strategies = strategies
        self._looked: set[tuple[str, str, InstrumentId]] = set()

    async def tick(self) -> None:
        """Look at every enabled strategy from a quarter to nine, each instrument once a day."""
        now = self._clock.market_now()
        if now.time() < _FROM:
            return
        day = trading_day(now)
        for name in self._strategies.registry:
            chosen = await self._strategies.instruments(name)
            wanted = [one for one in chosen if (day, name, one) not in self._looked]
            if not wanted or not await self._symbols.are_of_today():
                continue
            for instrument, reason in (await self._symbols.gone(wanted)).items():
                await self._post(day, name, instrument, reason)
            self._looked.update((day, name, one) for one in wanted)

    async def _post(self, day: str, name: str, instrument: InstrumentId, reason: str) -> None:
        notice = InstrumentGone(name, str(instrument), reason)

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=f"{notice.kind}:{name}|{instrument}|{day}")
        except AlreadyDone:
            return
