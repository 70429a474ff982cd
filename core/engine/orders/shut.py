"""What is shut for the day: nothing is entered under it. Owns the collection ``shut_days``.

A document a scope and trading day (``_id`` ``scope|day``): ``scope``, ``day``, ``reason`` (a
sentence without its full stop), ``at``, and ``unsure``, the positions of which an order of unknown
fate leaves open what is held (``account|instrument|product``). It is read in the gate's
transaction; whoever writes it writes the gates of the accounts that it concerns, so that a
submission that read the old answer fails (I6). It is never taken back: a day that is shut stays
shut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from core.domain.instrument import InstrumentId, Product
from core.domain.result_guard import GuardScope, ScopeKind
from core.domain.truth import Key
from core.engine.orders.gate import touch_gate
from core.ports.store import Change, StoreView

__all__ = ["become_sure", "reason_of", "shut_day", "unsure_since", "why_shut"]

_SHUT = "shut_days"


async def shut_day(
    view: StoreView,
    scope: GuardScope,
    day: str,
    *,
    reason: str,
    at: datetime,
    broker_ids: Iterable[str],
    unsure: Iterable[tuple[str, Key]] = (),
) -> None:
    """Shut a scope for a trading day, in the transaction of what shuts it.

    Args:
        view: The transaction.
        scope: What is shut.
        day: The trading day.
        reason: Why, a sentence without its full stop.
        at: Real time.
        broker_ids: Every account that the scope covers.
        unsure: By account, where an order that nobody knows the fate of may have filled.
    """
    fields = {"scope": scope.key, "day": day, "reason": reason, "at": at}
    names = [_name(broker_id, key) for broker_id, key in unsure]
    change = Change(set_on_insert={**fields, "unsure": names})
    await view.update(_SHUT, {"_id": f"{scope.key}|{day}"}, change, upsert=True)
    for broker_id in broker_ids:
        await touch_gate(view, broker_id)


async def unsure_since(
    view: StoreView, scope: GuardScope, day: str, broker_id: str
) -> tuple[Sequence[Key], datetime] | None:
    """Return where it was not known what is held when a day was shut, and when that was."""
    row = await view.get(_SHUT, f"{scope.key}|{day}")
    found = [one.split("|") for one in (row or {}).get("unsure", ())]
    keys = [
        (InstrumentId.parse(name), Product(product))
        for owner, name, product in found
        if owner == broker_id
    ]
    return (keys, row["at"]) if row and keys else None


async def become_sure(
    view: StoreView, scope: GuardScope, day: str, broker_id: str, keys: Iterable[Key]
) -> None:
    """Note that it is known by now what was held of these positions, and that it is dealt with."""
    row = await view.get(_SHUT, f"{scope.key}|{day}")
    over = {_name(broker_id, key) for key in keys}
    left = [one for one in (row or {}).get("unsure", ()) if one not in over]
    await view.update(_SHUT, {"_id": f"{scope.key}|{day}"}, Change(set={"unsure": left}))


def _name(broker_id: str, key: Key) -> str:
    return f"{broker_id}|{key[0]}|{key[1].value}"


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
