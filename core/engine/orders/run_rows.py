"""Runs in the store: what was decided, for whom, and why not. Owns the collection ``runs``.

A run is a strategy's slot, an extra run, or a decision to make ledgers flat (``kind``: square-off,
close, switch-off, stop, panic); its card in the chat is drawn from this document and its orders.
``closes`` counts what a decision closes. A guard that fires has a run of its own (``fired``) that
names the ``runs`` which close something for it: one card shows them all.
``quiet`` names the accounts whose note says only that a user keeps them from entering.
``said`` names the denials by limits that its notes tell: the day's later runs do not repeat them.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from core.domain.sessions import IST
from core.ports.store import Document, StoreView, parts

__all__ = ["forget_quiet_runs", "insert_run", "newest_run", "run_at", "said_of_limits"]

_RUNS = "runs"
_LATELY = timedelta(days=4)  # the longest weekend


async def insert_run(view: StoreView, row: Document) -> None:
    """Write a new run; its id is unique, so that a slot runs once."""
    await view.insert(_RUNS, row)


async def run_at(view: StoreView, run_id: str) -> Document | None:
    """Return a run's document, or None."""
    return await view.get(_RUNS, run_id)


async def said_of_limits(view: StoreView, strategy: str, at: datetime) -> set[str]:
    """Return which denials by limits a strategy's runs of the day of ``at`` have said."""
    day = at.astimezone(IST).date()
    since = datetime.combine(day, time(), IST)
    rows = await view.find(_RUNS, {"strategy": strategy, "slot_at": {"$gte": since}})
    return {one for row in rows for one in row.get("said", ())}


async def forget_quiet_runs(
    view: StoreView, strategy: str, since: datetime, until: datetime
) -> int:
    """Remove a strategy's runs within a time that changed nothing; return how many."""
    where = {"strategy": strategy, "slot_at": {"$gte": since, "$lt": until}}
    rows = await view.find(_RUNS, where)
    ids = [row["_id"] for row in rows if not row["is_signal"]]
    return sum([await view.delete(_RUNS, {"_id": {"$in": some}}) for some in parts(ids)])


async def newest_run(view: StoreView, strategy: str, now: datetime) -> str | None:
    """Return the id of a strategy's newest run by market time, or None before its first."""
    # The embedded server sorts all that the filter finds (facts/store.md 4), and a strategy has
    # thousands of runs a year: the last days are asked first, everything only when they hold none.
    newest = [("slot_at", -1)]
    lately = {"strategy": strategy, "slot_at": {"$gt": now - _LATELY}}
    rows = await view.find(_RUNS, lately, sort=newest, limit=1)
    if not rows:
        rows = await view.find(_RUNS, {"strategy": strategy}, sort=newest, limit=1)
    return str(rows[0]["_id"]) if rows else None
