"""Setting the trading mode of an account or of all, and what the change leaves behind (C1, C2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.domain.command import Command
from core.domain.mode import TradingMode
from core.domain.order import OPEN_STATES
from core.domain.views import ModeChange, OrderView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import global_mode
from core.engine.accounts.modes import write_mode
from core.engine.control.views import Views
from core.engine.orders.ledgers import ledgers_of
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["TradingModes"]


class TradingModes:
    """Reads and sets modes; ``wake`` lets an account's worker take a turn."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        views: Views,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._views = views
        self._wake = wake

    async def global_mode(self) -> TradingMode:
        """Return the mode that holds for every account beside its own."""
        return await global_mode(self._store)

    async def set(self, command: Command, mode: TradingMode, broker_id: str | None) -> ModeChange:
        """Set an account's mode, or the global one with ``broker_id`` None."""
        if broker_id is not None:
            await self._accounts.get(broker_id)
        now, by = self._clock.now(), str(command.user_id)

        async def body(view: StoreView) -> tuple[TradingMode, dict[str, TradingMode]]:
            return await write_mode(view, mode, broker_id, at=now, by=by)

        # What is left is read after the commit: an order that was sent just before it is at the
        # broker and has to be in the answer (C2).
        old, effective = await self._store.transaction(body, nonce=f"mode:{command.id}")
        for changed in effective:
            self._wake(changed)
        working, unprotected = await self._left_behind(effective)
        return ModeChange(broker_id, old, mode, effective, working, unprotected)

    async def _left_behind(
        self, effective: Mapping[str, TradingMode]
    ) -> tuple[tuple[OrderView, ...], int]:
        """Return what still works at the brokers, and how many positions PAUSED leaves alone."""
        working: list[OrderView] = []
        unprotected = 0
        for broker_id, mode in effective.items():
            orders = await self._views.orders(broker_id)
            working += [order for order in orders if order.state in OPEN_STATES]
            if mode is TradingMode.PAUSED:
                ledgers = await ledgers_of(self._store, broker_id)
                unprotected += sum(1 for ledger in ledgers if ledger.quantity)
        return tuple(working), unprotected
