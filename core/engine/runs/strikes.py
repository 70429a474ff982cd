"""A strategy whose decisions have to be ended time and again is disabled (case S02).

A strike is a decision that was killed at its deadline, or whose process ended under it. Three in a
row disable the strategy. What it raises is none: nothing had to be ended, tomorrow's data may suit
it, and until then its own exits would not be decided. Any decision that comes back, an exception
too, ends the row; so does enabling the strategy. The count is stored, so a restart forgets nothing.
"""

from __future__ import annotations

from core.domain.notices.post import Post
from core.domain.notices.runs import StrategyDisabled
from core.engine.outbox import Outbox
from core.engine.runs.settings import StrategySettings, add_strike, end_strikes
from core.errors import AlreadyDone
from core.ports.store import Store, StoreView

__all__ = ["STRIKES", "Strikes"]

STRIKES = 3


class Strikes:
    """Counts strikes, and disables at the third."""

    def __init__(self, store: Store, outbox: Outbox, settings: StrategySettings) -> None:
        self._store = store
        self._outbox = outbox
        self._settings = settings
        self._clean: set[str] = set()

    async def add(self, name: str, run_id: str, reason: str) -> None:
        """Count one of a run, and notify the user when the strategy is disabled by it."""
        self._clean.discard(name)

        async def body(view: StoreView) -> bool:
            is_disabled = await add_strike(view, name, STRIKES)
            if is_disabled:
                await self._outbox.post(view, Post(StrategyDisabled(name, STRIKES, reason)))
            return is_disabled

        try:
            is_disabled = await self._store.transaction(body, nonce=f"strike:{run_id}")
        except AlreadyDone:
            return
        if is_disabled:
            self._settings.switched.set()

    async def end(self, name: str) -> None:
        """Begin to count anew: a decision came back."""
        if name not in self._clean:
            await end_strikes(self._store, name)
            self._clean.add(name)
