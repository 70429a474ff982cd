"""Changes of modes and of who manages positions, inside their transaction (product.md A5, C1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.domain.mode import TradingMode, stricter
from core.engine.accounts.accounts import live_ids, update_account, update_accounts
from core.engine.accounts.global_mode import global_mode, set_global_mode
from core.engine.orders.gate import change_gate, gate_at, restrict_gates
from core.engine.orders.goals import want_nothing
from core.engine.orders.ledgers import ledgers_of, put_ledger
from core.ports.store import StoreView

__all__ = ["ModeWrite", "hand_over", "let_only_exit", "write_mode"]


@dataclass(frozen=True, slots=True)
class ModeWrite:
    """What a written mode changed.

    Attributes:
        old: The mode that was set before, of the account or the global one.
        effective: What holds now, by account.
        resumed: The accounts that were PAUSED and no longer are.
    """

    old: TradingMode
    effective: Mapping[str, TradingMode]
    resumed: tuple[str, ...]


async def write_mode(
    view: StoreView,
    mode: TradingMode,
    broker_id: str | None,
    *,
    at: datetime,
    by: str,
    also: Collection[str] = (),
) -> ModeWrite:
    """Write a mode into the gates; the global one into all of them at once (C1, C4).

    Args:
        view: The caller's transaction.
        mode: The mode.
        broker_id: Whose mode; None for the global one.
        at: Real time.
        by: Who asked for it.
        also: Accounts whose own mode is set with the global one.
    """
    old = await global_mode(view)
    targets = await live_ids(view) if broker_id is None else [broker_id]
    effective: dict[str, TradingMode] = {}
    resumed: list[str] = []
    for target in targets:
        is_own = target == broker_id or target in also
        before, after = await change_gate(
            view,
            target,
            at=at,
            by=by,
            account_mode=mode if is_own else None,
            global_mode=None if broker_id else mode,
            # Setting NORMAL is how the user says that an anomaly was looked into (reliability.md
            # 2.2). What stays stricter by its own mode waits until that is set.
            frozen=False
            if mode is TradingMode.NORMAL and (is_own or await _is_normal(view, target))
            else None,
        )
        effective[target] = after.mode
        if before.mode is TradingMode.PAUSED and after.mode is not TradingMode.PAUSED:
            resumed.append(target)
        if broker_id:
            old = before.account_mode
        if is_own:
            await update_account(view, target, _own(mode, at, by))
    if broker_id is None:
        await set_global_mode(view, mode, at=at, by=by)
    return ModeWrite(old, effective, tuple(resumed))


async def _is_normal(view: StoreView, broker_id: str) -> bool:
    gate = await gate_at(view, broker_id)
    return gate is not None and gate.account_mode is TradingMode.NORMAL


async def let_only_exit(
    view: StoreView, broker_ids: Collection[str], *, everywhere: bool, at: datetime, by: str
) -> None:
    """Set EXIT_ONLY on accounts; one that is PAUSED stays so, for no mode becomes less strict.

    Args:
        view: The caller's transaction.
        broker_ids: The accounts.
        everywhere: Set the global mode too, which holds for accounts that are added later.
        at: Real time.
        by: Who asked for it.
    """
    connected = await live_ids(view)
    everyone = stricter(await global_mode(view), TradingMode.EXIT_ONLY) if everywhere else None
    if everyone is not None:
        await set_global_mode(view, everyone, at=at, by=by)
    chosen = [one for one in connected if one in broker_ids]
    modes = await restrict_gates(
        view, connected if everywhere else chosen, chosen, global_mode=everyone, at=at, by=by
    )
    for mode, accounts in modes.items():
        await update_accounts(view, accounts, _own(mode, at, by))


def _own(mode: TradingMode, at: datetime, by: str) -> dict[str, Any]:
    """Return an account's own mode with who and when: its gate tells those of any change (C1)."""
    return {"trading_mode": mode.value, "mode_set_at": at, "mode_set_by": by}


async def hand_over(view: StoreView, broker_id: str) -> None:
    """Leave the strategies' positions to the person: their ledgers forget them."""
    for ledger in await ledgers_of(view, broker_id):
        if ledger.quantity:
            await put_ledger(view, replace(ledger, quantity=0, average_price=Decimal(0)))
            await want_nothing(view, ledger.key)
