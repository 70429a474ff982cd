"""Guards on the day's result in the store. Owns the collection ``result_guards``.

A document a scope (``_id`` as ``GuardScope.key``): ``stop``, ``target``, ``trail`` (``start``,
``keep``, ``each``, ``more``; None without one), ``version`` (raised by every change of a user's),
``changed_at``, ``changed_by`` (a user's id), ``locked_until`` (the first day on which it can be
loosened again, '' for none), ``pending`` (a looser guard that waits for its second confirmation:
``id``, ``guard``, ``asked_at``, ``asked_by``; None without one), ``blind`` (why it cannot be
judged, as the chat was told), and the state of ``day``: ``highest``, ``floor``, ``fired``
(``reached``, ``limit``, ``result``; None while it has not). The state is stored before anything is
done by it. A guard that was removed keeps its document, so that versions go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.domain.result_guard import Breach, Guard, GuardDay, GuardScope, Reached, Trail
from core.ports.store import Change, Document, StoreView

__all__ = [
    "Pending",
    "StoredGuard",
    "guard_at",
    "guards_of",
    "put_day",
    "put_guard",
    "put_pending",
    "tell_blind",
]

_GUARDS = "result_guards"


@dataclass(frozen=True, slots=True)
class Pending:
    """A looser guard that waits for its second confirmation.

    Attributes:
        asked_at: Real time.
        asked_by: The user's id.
    """

    id: str
    guard: Guard
    asked_at: datetime
    asked_by: str


@dataclass(frozen=True, slots=True)
class StoredGuard:
    """A guard with what is known of it.

    Attributes:
        version: 0 before it was ever set.
        locked_until: The first day on which it can be loosened again, '' for none.
        blind: Why it cannot be judged, as the chat was told; '' while it can.
        state: The state of the day on which it was judged last.
    """

    scope: GuardScope
    guard: Guard = field(default_factory=Guard)
    version: int = 0
    changed_at: datetime | None = None
    changed_by: str = ""
    locked_until: str = ""
    pending: Pending | None = None
    blind: str = ""
    state: GuardDay = field(default_factory=lambda: GuardDay(""))

    def on(self, day: str) -> GuardDay:
        """Return the state of a trading day: a new day begins without one."""
        return self.state if self.state.day == day else GuardDay(day)

    def is_locked(self, today: str) -> bool:
        """Whether it cannot be loosened on this day, ``YYYY-MM-DD``."""
        return today < self.locked_until


async def guards_of(view: StoreView) -> list[StoredGuard]:
    """Return every guard that was ever set, by key."""
    return [_guard_of(row) for row in await view.find(_GUARDS, {}, sort=[("_id", 1)])]


async def guard_at(view: StoreView, scope: GuardScope) -> StoredGuard:
    """Return the guard of a scope; one of version 0 where none was ever set."""
    row = await view.get(_GUARDS, scope.key)
    return _guard_of(row) if row else StoredGuard(scope)


async def put_guard(view: StoreView, one: StoredGuard) -> None:
    """Write a guard as a user has changed it; what waited for a confirmation is over."""
    fields = {
        **_fields(one.guard),
        "version": one.version,
        "changed_at": one.changed_at,
        "changed_by": one.changed_by,
        "locked_until": one.locked_until,
        "pending": None,
        "blind": one.blind,
        **_day_fields(one.state),
    }
    await view.update(_GUARDS, {"_id": one.scope.key}, Change(set=fields), upsert=True)


async def put_pending(view: StoreView, one: StoredGuard, pending: Pending | None) -> bool:
    """Keep a looser guard until it is confirmed, or drop it; False when the guard has changed."""
    kept = None
    if pending is not None:
        kept = {
            "id": pending.id,
            "guard": _fields(pending.guard),
            "asked_at": pending.asked_at,
            "asked_by": pending.asked_by,
        }
    where = {"_id": one.scope.key, "version": one.version}
    return await view.update(_GUARDS, where, Change(set={"pending": kept})) == 1


async def put_day(view: StoreView, one: StoredGuard, day: GuardDay) -> bool:
    """Write the state of a day; False when the guard was changed since it was read."""
    where = {"_id": one.scope.key, "version": one.version}
    return await view.update(_GUARDS, where, Change(set=_day_fields(day))) == 1


async def tell_blind(view: StoreView, scope: GuardScope, why: str) -> bool:
    """Note what the chat is told of a guard that cannot be judged; False where it was told."""
    where = {"_id": scope.key, "blind": {"$ne": why}}
    return await view.update(_GUARDS, where, Change(set={"blind": why})) == 1


def _fields(guard: Guard) -> Document:
    trail = guard.trail
    kept = None
    if trail is not None:
        kept = {
            "start": trail.start,
            "keep": trail.keep,
            "each": trail.each,
            "more": trail.more,
        }
    return {"stop": guard.stop, "target": guard.target, "trail": kept}


def _day_fields(day: GuardDay) -> Document:
    fired = day.fired
    return {
        "day": day.day,
        "highest": day.highest,
        "floor": day.floor,
        "fired": None
        if fired is None
        else {"reached": fired.reached.value, "limit": fired.limit, "result": fired.result},
    }


def _of(row: Document) -> Guard:
    trail = row.get("trail")
    return Guard(
        _amount(row.get("stop")), _amount(row.get("target")), Trail(**trail) if trail else None
    )


def _amount(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _guard_of(row: Document) -> StoredGuard:
    pending, fired = row.get("pending"), row.get("fired")
    return StoredGuard(
        scope=GuardScope.parse(row["_id"]),
        guard=_of(row),
        version=row["version"],
        changed_at=row.get("changed_at"),
        changed_by=row.get("changed_by", ""),
        locked_until=row.get("locked_until", ""),
        pending=Pending(
            pending["id"], _of(pending["guard"]), pending["asked_at"], pending["asked_by"]
        )
        if pending
        else None,
        blind=row.get("blind", ""),
        state=GuardDay(
            row.get("day", ""),
            row.get("highest"),
            row.get("floor"),
            Breach(Reached(fired["reached"]), fired["limit"], fired["result"]) if fired else None,
        ),
    )
