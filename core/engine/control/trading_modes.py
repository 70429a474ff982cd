"""Setting the trading mode of an account or of all, and what the change leaves behind (C1, C2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from core.domain.account import Account
from core.domain.command import Command
from core.domain.identifiers import is_paper
from core.domain.mode import TradingMode, stricter
from core.domain.order import OPEN_STATES
from core.domain.sessions import trading_day
from core.domain.views import ExitView, ModeChange, OrderView, OwnMode, PositionView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import global_mode
from core.engine.accounts.modes import ModeWrite, write_mode
from core.engine.control.views import Views
from core.engine.orders.gate import gate_at
from core.engine.orders.ledgers import ledgers_of
from core.engine.orders.limits import ALL, limits_at
from core.engine.orders.waiting import (
    ExitToCome,
    exits_to_come,
    exits_without_orders,
    tell_results,
)
from core.engine.safeguards.panics import is_panicking
from core.errors import UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["AllowNormal", "TradingModes"]


class AllowNormal(Protocol):
    """Raises ``UserError`` when an account may not be set to NORMAL yet."""

    async def __call__(self, view: StoreView, broker_id: str, *, by: str) -> None:
        """Look, in the transaction of the change."""
        ...


class TradingModes:
    """Reads and sets modes; ``wake`` lets an account's worker take a turn.

    ``allow_normal`` raises ``UserError`` inside the transaction that would set an account to
    NORMAL too early after its daily loss (R1).
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        views: Views,
        wake: Callable[[str], None],
        allow_normal: AllowNormal,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._views = views
        self._wake = wake
        self._allow_normal = allow_normal

    async def global_mode(self) -> TradingMode:
        """Return the mode that holds for every account beside its own."""
        return await global_mode(self._store)

    async def set(
        self,
        command: Command,
        mode: TradingMode,
        broker_id: str | None,
        *,
        also: Collection[str] = (),
    ) -> ModeChange:
        """Set an account's mode, or the global one with ``broker_id`` None.

        ``also`` are accounts that become NORMAL with the global mode, where nothing but EXIT_ONLY
        of their own is in the way (``own_modes``); the others stay as they are.
        """
        if broker_id is not None:
            await self._accounts.get(broker_id)
        now, by = self._clock.now(), str(command.user_id)

        refused: dict[str, str] = {}

        async def body(view: StoreView) -> tuple[ModeWrite, list[ExitToCome]]:
            refused.clear()
            if mode is TradingMode.NORMAL and await is_panicking(view, broker_id):
                # Strategies would enter what the panic closes. Both write the gates, so neither
                # commits without the other being seen.
                raise UserError(
                    "A panic still closes everything here. End it first: open /panic, then Stop "
                    "trying."
                )
            if mode is TradingMode.NORMAL and broker_id is not None:
                await self._allow_normal(view, broker_id, by=by)
            is_for_all = mode is TradingMode.NORMAL and broker_id is None
            follow = await self._following(view, also, refused, by=by) if is_for_all else ()
            written = await write_mode(view, mode, broker_id, at=now, by=by, also=follow)
            exits = [one for who in written.resumed for one in await self._exits(view, who)]
            await tell_results(view, exits)
            return written, exits

        # What is left is read after the commit: an order that was sent just before it is at the
        # broker and has to be in the answer (C2).
        written, exits = await self._store.transaction(body, nonce=f"mode:{command.id}")
        for changed in written.effective:
            self._wake(changed)
        working, unprotected, held = await self._left_behind(written.effective)
        return ModeChange(
            broker_id,
            written.old,
            mode,
            written.effective,
            working,
            unprotected,
            await self._shown(exits),
            held,
            await self._kept(mode, refused) if broker_id is None else (),
        )

    async def _following(
        self, view: StoreView, also: Collection[str], refused: dict[str, str], *, by: str
    ) -> list[str]:
        """Return which of the accounts may become NORMAL now; ``refused`` takes why one may not."""
        found = []
        for broker_id in also:
            if not await self._may_follow(view, broker_id):
                continue
            try:
                await self._allow_normal(view, broker_id, by=by)
            except UserError as error:
                refused[broker_id] = str(error)
            else:
                found.append(broker_id)
        return found

    async def _may_follow(self, view: StoreView, broker_id: str) -> bool:
        gate = await gate_at(view, broker_id)
        is_exit_only = gate is not None and gate.account_mode is TradingMode.EXIT_ONLY
        return is_exit_only and not await _why_not(view, broker_id)

    async def own_modes(self, mode: TradingMode) -> tuple[OwnMode, ...]:
        """Return the accounts whose own mode is stricter than this one for all."""
        return await self._kept(mode, {})

    async def _kept(self, mode: TradingMode, refused: Mapping[str, str]) -> tuple[OwnMode, ...]:
        kept = [
            one
            for one in await self._accounts.all()
            if stricter(one.trading_mode, mode) is not mode
        ]
        return tuple([await self._own_mode(one, mode, refused) for one in kept])

    async def _own_mode(
        self, account: Account, mode: TradingMode, refused: Mapping[str, str]
    ) -> OwnMode:
        view, broker_id = self._store, account.broker_id
        why = refused.get(broker_id) or await _why_not(view, broker_id)
        may = mode is TradingMode.NORMAL and not why and await self._may_follow(view, broker_id)
        return OwnMode(account, why, may)

    async def frozen(self) -> tuple[Account, ...]:
        """Return the accounts whose entries an anomaly stopped and NORMAL for all lets go on."""
        found = []
        for account in await self._accounts.all():
            gate = await gate_at(self._store, account.broker_id)
            if gate is not None and gate.frozen and gate.account_mode is TradingMode.NORMAL:
                found.append(account)
        return tuple(found)

    async def exits_to_come(self, mode: TradingMode, broker_id: str | None) -> tuple[ExitView, ...]:
        """Return the exits that wait in PAUSED and would go out once this mode is set."""
        present = await self.global_mode()
        exits: list[ExitToCome] = []
        for account in await self._accounts.all():
            if broker_id not in {None, account.broker_id}:
                continue
            own = account.trading_mode if broker_id is None else mode
            after = stricter(own, mode if broker_id is None else present)
            before = stricter(account.trading_mode, present)
            if before is TradingMode.PAUSED and after is not TradingMode.PAUSED:
                exits += await self._exits(self._store, account.broker_id)
        return await self._shown(exits)

    async def exits_behind_login(self, broker_id: str) -> tuple[ExitView, ...]:
        """Return the exits that an account's login holds up before they are orders (B8)."""
        day = trading_day(self._clock.market_now())
        return await self._shown(await exits_without_orders(self._store, broker_id, day))

    async def _exits(self, view: StoreView, broker_id: str) -> list[ExitToCome]:
        return await exits_to_come(view, broker_id, trading_day(self._clock.market_now()))

    async def _shown(self, exits: Sequence[ExitToCome]) -> tuple[ExitView, ...]:
        found = []
        for one in exits:
            account = await self._accounts.get(one.goal.broker_id)
            goal = one.goal
            found.append(
                ExitView(
                    account.label,
                    goal.strategy,
                    goal.instrument,
                    goal.product,
                    one.side,
                    one.quantity,
                )
            )
        return tuple(found)

    async def _left_behind(
        self, effective: Mapping[str, TradingMode]
    ) -> tuple[tuple[OrderView, ...], int, tuple[PositionView, ...]]:
        """Return what still works at the brokers, and the positions that PAUSED leaves alone.

        As many as strategies hold, and those of them, with their stops, that a look has shown.
        """
        working: list[OrderView] = []
        held: list[PositionView] = []
        unprotected = 0
        for broker_id, mode in effective.items():
            orders = await self._views.orders(broker_id)
            working += [order for order in orders if order.state in OPEN_STATES]
            if mode is TradingMode.PAUSED:
                ledgers = await ledgers_of(self._store, broker_id)
                unprotected += sum(1 for ledger in ledgers if ledger.quantity)
                held += [one for one in await self._views.positions(broker_id) if one.owners]
        return tuple(working), unprotected, tuple(held)


async def _why_not(view: StoreView, broker_id: str) -> str:
    """Return what a user has to look at before an account trades again, or ''."""
    gate = await gate_at(view, broker_id)
    if gate is not None and gate.frozen:
        return "An impossible event stopped its entries."
    scopes = (broker_id,) if is_paper(broker_id) else (broker_id, ALL)
    for scope in scopes:
        tripped = (await limits_at(view, scope)).tripped
        if tripped is not None:
            whose = "all accounts together" if scope == ALL else "this account"
            return f"The limit of daily loss of {whose} was reached on {tripped.day}."
    return ""
