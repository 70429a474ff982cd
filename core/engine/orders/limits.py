"""Limits in the store, and every change of them (R1, F8). Owns ``limits`` and ``limit_changes``.

``limits`` (``_id``: a ``broker_id``, or ``all``): the numbers by ``LimitKind`` (None: no limit),
``version`` (raised by every change), ``changed_at``, ``changed_by``; ``seq`` (of ``all``: raised by
each entry that it bounds, for submissions of two accounts share no gate). The daily loss writes
``tripped``: None, or ``at`` (real time), ``day``, ``result``, ``limit`` and ``scope`` (whose limit:
the account's, or ``all``). The proof of an account (F8): ``proved`` (None, or ``at``, ``address``,
``how``), ``trip`` (None, or how far its round trip is: ``core.engine.safeguards.round_trips``) and
``simulated_at`` (when it was last seen at a simulator). ``blind``: why its daily loss cannot be
judged, as the chat was told; '' while it can.

``limit_changes`` (``scope#version``): ``scope``, ``version``, ``what``, ``old``, ``new``, ``at``,
``by``; append-only. Whoever changes what a submission reads here writes the gates concerned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from core.domain.limits import MONEY, LimitKind, Limits
from core.engine.orders.gate import touch_gate, touch_gates
from core.engine.remembered import Remembered
from core.ports.store import Change, Document, StoreView

__all__ = [
    "ALL",
    "LimitChange",
    "Proof",
    "StoredLimits",
    "Tripped",
    "all_limits",
    "changes_of",
    "count_entry",
    "limits_at",
    "note_change",
    "note_simulated",
    "put_blind",
    "put_trip",
    "set_limit",
    "set_proof",
    "set_tripped",
]

ALL = "all"
"""The scope of all accounts together."""
_LIMITS = "limits"
_CHANGES = "limit_changes"


@dataclass(frozen=True, slots=True)
class Tripped:
    """A daily loss that was reached and that no user has answered with NORMAL yet.

    Attributes:
        at: Real time.
        result: The day's result after charges, at that moment.
        scope: Whose limit it was: the account's id, or ``ALL``.
    """

    at: datetime
    day: str
    result: Decimal
    limit: Decimal
    scope: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A round trip that has passed on an account (F8).

    Attributes:
        address: Where: the orders' address that it passed at.
        how: ``round trip``, or ``journal`` for an ordinary one that was found there.
    """

    at: datetime
    address: str
    how: str


@dataclass(frozen=True, slots=True)
class StoredLimits:
    """One scope's document."""

    scope: str
    limits: Limits = field(default_factory=Limits)
    version: int = 0
    changed_at: datetime | None = None
    changed_by: str = ""
    tripped: Tripped | None = None
    proved: Proof | None = None
    trip: Document | None = None
    simulated_at: datetime | None = None
    blind: str = ""


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One row of the record: ``what`` is a ``LimitKind``, ``daily loss reached`` or the like."""

    scope: str
    version: int
    what: str
    old: str
    new: str
    at: datetime
    by: str


def _number(kind: LimitKind, row: Document) -> Any:
    value = row.get(kind.value)
    return Decimal(value) if value is not None and kind in MONEY else value


def _read(row: Document) -> StoredLimits:
    tripped, proved = row.get("tripped"), row.get("proved")
    return StoredLimits(
        row["_id"],
        Limits(**{kind.value: _number(kind, row) for kind in LimitKind}),
        row.get("version", 0),
        row.get("changed_at"),
        row.get("changed_by", ""),
        Tripped(**tripped) if tripped else None,
        Proof(**proved) if proved else None,
        row.get("trip"),
        row.get("simulated_at"),
        row.get("blind", ""),
    )


limits_of: Remembered[StoredLimits] = Remembered(_read)
"""Returns the limits of a document."""

_unset = lru_cache(maxsize=1024)(StoredLimits)


async def limits_at(view: StoreView, scope: str) -> StoredLimits:
    """Return a scope's limits as they stand; one that was never set has none."""
    row = await view.get(_LIMITS, scope)
    return _unset(scope) if row is None else limits_of(row)


async def all_limits(view: StoreView) -> dict[str, StoredLimits]:
    """Return every scope that has a document."""
    return {row["_id"]: limits_of(row) for row in await view.find(_LIMITS, {})}


async def set_limit(
    view: StoreView,
    scope: str,
    kind: LimitKind,
    value: Decimal | int | None,
    *,
    at: datetime,
    by: str,
) -> Decimal | int | None:
    """Set one number, None for no limit, inside a transaction; return what it was before."""
    before = (await limits_at(view, scope)).limits.of(kind)
    await note_change(view, scope, kind.value, _text(before), _text(value), at=at, by=by)
    await _write(view, scope, {kind.value: value})
    return before


async def set_tripped(
    view: StoreView, scope: str, tripped: Tripped | None, *, at: datetime, by: str
) -> None:
    """Record that the daily loss was reached, or that a user set NORMAL after it."""
    fields = None if tripped is None else _fields(tripped)
    old, new = ("reached", "re-armed") if tripped is None else ("", f"{tripped.result}")
    await note_change(view, scope, "daily loss reached", old, new, at=at, by=by)
    await _write(view, scope, {"tripped": fields})


async def set_proof(view: StoreView, broker_id: str, proof: Proof, *, by: str) -> None:
    """Record that a round trip has passed on an account."""
    await note_change(view, broker_id, "proved", "", proof.how, at=proof.at, by=by)
    await _write(view, broker_id, {"proved": _fields(proof), "trip": None})


async def put_trip(view: StoreView, broker_id: str, trip: Document | None) -> None:
    """Write how far an account's round trip of the smallest size is."""
    await _write(view, broker_id, {"trip": trip})


async def note_simulated(view: StoreView, broker_id: str, *, at: datetime) -> None:
    """Note that an account is at a simulator; no gate is written, for no submission reads it."""
    await view.update(_LIMITS, {"_id": broker_id}, Change(set={"simulated_at": at}), upsert=True)


async def put_blind(view: StoreView, broker_id: str, why: str) -> None:
    """Note what the chat is told of a daily loss that cannot be judged; no submission reads it."""
    await view.update(_LIMITS, {"_id": broker_id}, Change(set={"blind": why}), upsert=True)


async def note_change(
    view: StoreView, scope: str, what: str, old: str, new: str, *, at: datetime, by: str
) -> None:
    """Add a row to the record and raise the version; two changes at once meet here."""
    version = (await limits_at(view, scope)).version + 1
    row = {"scope": scope, "version": version, "what": what, "old": old, "new": new}
    await view.insert(_CHANGES, {"_id": f"{scope}#{version}", **row, "at": at, "by": by})
    fields = {"version": version, "changed_at": at, "changed_by": by}
    await view.update(_LIMITS, {"_id": scope}, Change(set=fields), upsert=True)


async def _write(view: StoreView, scope: str, fields: Document) -> None:
    """Write the document and the gates of what it bounds: a submission that read it fails (I6)."""
    await view.update(_LIMITS, {"_id": scope}, Change(set=fields), upsert=True)
    if scope == ALL:
        await touch_gates(view)
    else:
        await touch_gate(view, scope)


async def count_entry(view: StoreView) -> None:
    """Write the document of all accounts: of two entries that it bounds, one reads anew."""
    await view.update(_LIMITS, {"_id": ALL}, Change(inc={"seq": 1}))


async def changes_of(view: StoreView, scope: str, *, newest: int = 10) -> list[LimitChange]:
    """Return the newest changes of a scope, newest first."""
    rows = await view.find(_CHANGES, {"scope": scope}, sort=[("version", -1)], limit=newest)
    names = LimitChange.__dataclass_fields__
    return [LimitChange(**{name: row[name] for name in names}) for row in rows]


def _fields(thing: Tripped | Proof) -> Document:
    return {name: getattr(thing, name) for name in thing.__dataclass_fields__}


def _text(value: Decimal | int | None) -> str:
    return "" if value is None else str(value)
