"""Made-up prices: the day on which they were in use is no day for orders at a broker (row F6).

Bars and prices of a day are kept in memory and pinned to entries. Whoever connects a broker on a
day that began with made-up prices would decide on a mixture, so no account at a broker enters
before the next trading day. Owns the setting ``practice`` (``day``: the last one).
"""

from __future__ import annotations

from core.domain.identifiers import is_paper
from core.engine.stored_settings import read_setting, write_setting
from core.ports.store import Change, StoreView

__all__ = ["note_practice", "was_practised", "why_practised"]

_PRACTICE = "practice"


async def note_practice(view: StoreView, day: str) -> None:
    """Note that made-up prices are in use on a trading day, before any is used."""
    await write_setting(view, _PRACTICE, Change(set={"day": day}))


async def was_practised(view: StoreView, day: str) -> bool:
    """Whether made-up prices were in use on a trading day, the newest one on which they were."""
    row = await read_setting(view, _PRACTICE)
    return row is not None and row["day"] == day


async def why_practised(view: StoreView, broker_id: str, day: str) -> str:
    """Return why an account enters nothing on a day, or ''; a paper account may always."""
    if is_paper(broker_id):
        return ""
    if not await was_practised(view, day):
        return ""
    return "today's prices were made up for practice until now: it enters from the next day on"
