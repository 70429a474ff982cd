"""The global mode: one setting, copied into every account's gate when it changes (C1)."""

from __future__ import annotations

from datetime import datetime

from core.domain.mode import TradingMode
from core.engine.stored_settings import read_setting, write_setting
from core.ports.store import Change, StoreView

__all__ = ["global_mode", "hold_global_mode", "set_global_mode"]

_NAME = "global_mode"


async def global_mode(view: StoreView) -> TradingMode:
    """Return the mode that holds for every account beside its own; NORMAL until one is set."""
    row = await read_setting(view, _NAME)
    return TradingMode(row["value"]) if row else TradingMode.NORMAL


async def hold_global_mode(view: StoreView) -> TradingMode:
    """Return the global mode and keep it for this transaction.

    It is written, not only read: a global mode that is set at this moment collides with it.
    """
    held = Change(inc={"seq": 1}, set_on_insert={"value": TradingMode.NORMAL.value})
    await write_setting(view, _NAME, held)
    return await global_mode(view)


async def set_global_mode(view: StoreView, mode: TradingMode, *, at: datetime, by: str) -> None:
    """Set the global mode; ``seq`` collides with an account that is being added under the old."""
    fields = {"value": mode.value, "changed_at": at, "changed_by": by}
    await write_setting(view, _NAME, Change(set=fields, inc={"seq": 1}))
