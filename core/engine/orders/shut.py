"""What is shut for the day: nothing is entered under it. Owns the collection ``shut_days``.

A document a scope and trading day (``_id`` ``scope|day``): ``scope``, ``day``, ``reason`` (a
sentence without its full stop) and ``at``. It is read in the gate's transaction; whoever writes it
writes the gates of the accounts that it concerns, so that a submission that read the old answer
fails (I6). It is never taken back: a day that is shut stays shut.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from core.domain.result_guard import GuardScope, ScopeKind
from core.engine.orders.gate import touch_gate
from core.ports.store import Change, StoreView

__all__ = ["reason_of", "shut_day", "why_shut"]

_SHUT = "shut_days"


async def shut_day(
    view: StoreView,
    scope: GuardScope,
    day: str,
    *,
    reason: str,
    at: datetime,
    broker_ids: Iterable[str],
) -> None:
    """Shut a scope for a trading day, in the transaction of what shuts it.

    Args:
        view: The transaction.
        scope: What is shut.
        day: The trading day.
        reason: Why, a sentence without its full stop.
        at: Real time.
        broker_ids: Every account that the scope covers.
    """
    fields = {"scope": scope.key, "day": day, "reason": reason, "at": at}
    change = Change(set_on_insert=fields)
    await view.update(_SHUT, {"_id": f"{scope.key}|{day}"}, change, upsert=True)
    for broker_id in broker_ids:
        await touch_gate(view, broker_id)


async def why_shut(view: StoreView, broker_id: str, strategy: str, day: str) -> str:
    """Return why a strategy on an account enters nothing on a trading day, or ''."""
    scopes = (
        GuardScope(ScopeKind.STRATEGY, broker_id, strategy),
        GuardScope(ScopeKind.ACCOUNT, broker_id),
        GuardScope(ScopeKind.ALL),
    )
    for scope in scopes:
        if scope.includes(broker_id) and (reason := await reason_of(view, scope, day)):
            return reason
    return ""


async def reason_of(view: StoreView, scope: GuardScope, day: str) -> str:
    """Return why this very scope is shut on a trading day, or ''."""
    row = await view.get(_SHUT, f"{scope.key}|{day}")
    return str(row["reason"]) if row else ""
