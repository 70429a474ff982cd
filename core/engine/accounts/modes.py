"""Changes of modes and of who cares for positions, inside their transaction (product.md A5, C1)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.domain.mode import TradingMode
from core.engine.accounts.accounts import ACCOUNTS
from core.engine.orders.documents import ledger_of, ledger_row
from core.engine.orders.gate import change_gate
from core.ports.store import Change, StoreView

__all__ = ["hand_over", "write_mode"]


async def write_mode(
    view: StoreView,
    mode: TradingMode,
    broker_id: str | None,
    *,
    at: datetime,
    by: str,
) -> tuple[TradingMode, dict[str, TradingMode]]:
    """Write a mode into the gates; the global one into all of them at once (C1, C4)."""
    setting = await view.get("settings", "global_mode")
    old = TradingMode(setting["value"]) if setting else TradingMode.NORMAL
    live = [row["_id"] for row in await view.find(ACCOUNTS, {"live": True})]
    targets = live if broker_id is None else [broker_id]
    effective: dict[str, TradingMode] = {}
    for target in targets:
        before, after = await change_gate(
            view,
            target,
            at=at,
            by=by,
            account_mode=mode if broker_id else None,
            global_mode=None if broker_id else mode,
            frozen=False if mode is TradingMode.NORMAL else None,
        )
        effective[target] = after.mode
        if broker_id:
            old = before.account_mode
            fields = {"trading_mode": mode.value}
            await view.update(ACCOUNTS, {"_id": target}, Change(set=fields))
    if broker_id is None:
        fields = {"value": mode.value, "changed_by": by}
        # ``seq`` collides with an account that is being added under the mode before.
        await view.update(
            "settings",
            {"_id": "global_mode"},
            Change(set=fields, inc={"seq": 1}),
            upsert=True,
        )
    return old, effective


async def hand_over(view: StoreView, broker_id: str) -> None:
    """Leave the strategies' positions to the person: their ledgers forget them."""
    for row in await view.find("ledgers", {"broker_id": broker_id}):
        if not row["quantity"]:
            continue
        ledger = ledger_of(row)
        fields = {**ledger_row(ledger), "quantity": 0, "average_price": Decimal(0)}
        key = fields.pop("_id")
        await view.update("ledgers", {"_id": key}, Change(set=fields))
        await view.update("goals", {"_id": key}, Change(set={"quantity": 0, "stop_price": None}))
