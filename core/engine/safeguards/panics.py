"""Panics in the store. Owns the collection ``panics``.

``_id`` is a number with leading zeros, so that of two that begin at once one is refused; the fields
are those of :class:`core.domain.panic.Panic`, ``lines`` as a list of documents, besides ``seq``,
which every change raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from core.domain.panic import Hindrance, Line, Panic, PanicEnd
from core.engine.orders.gate import touch_gate
from core.ports.store import Change, Document, StoreView

__all__ = [
    "add_panic",
    "end_panic",
    "hold_running",
    "is_panicking",
    "newest_panic",
    "panic_at",
    "put_lines",
    "running_panic",
    "widen_panic",
]

_PANICS = "panics"
_DIGITS = 6


def _line_of(row: Document) -> Line:
    return Line(**{**row, "hindrance": Hindrance(row["hindrance"])})


def _line_row(line: Line) -> Document:
    row = {one.name: getattr(line, one.name) for one in fields(line)}
    return {**row, "hindrance": line.hindrance.value}


def _panic_of(row: Document) -> Panic:
    return Panic(
        panic_id=row["_id"],
        began_at=row["began_at"],
        day=row["day"],
        by=row["by"],
        holdings=tuple(row["holdings"]),
        is_global=row["is_global"],
        lines=tuple(_line_of(line) for line in row["lines"]),
        end=PanicEnd(row["end"]),
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
    )


async def panic_at(view: StoreView, panic_id: str) -> Panic | None:
    """Return a panic by id."""
    row = await view.get(_PANICS, panic_id)
    return _panic_of(row) if row else None


async def newest_panic(view: StoreView) -> Panic | None:
    """Return the panic that began last, whether it runs or not."""
    rows = await view.find(_PANICS, {}, sort=[("_id", -1)], limit=1)
    return _panic_of(rows[0]) if rows else None


async def running_panic(view: StoreView) -> Panic | None:
    """Return the panic that runs; there is one at most."""
    newest = await newest_panic(view)
    return newest if newest is not None and newest.is_running else None


async def is_panicking(view: StoreView, broker_id: str | None) -> bool:
    """Whether a panic runs on an account; with None on any."""
    panic = await running_panic(view)
    return panic is not None and (broker_id is None or broker_id in panic.broker_ids)


async def add_panic(
    view: StoreView,
    broker_ids: Sequence[str],
    *,
    at: datetime,
    day: str,
    by: str,
    with_holdings: bool,
    is_global: bool,
) -> Panic:
    """Begin a panic; raises ``DuplicateKey`` when another one begins at this moment."""
    newest = await newest_panic(view)
    number = int(newest.panic_id) + 1 if newest else 1
    row: Document = {
        "_id": f"{number:0{_DIGITS}d}",
        "began_at": at,
        "day": day,
        "by": by,
        "holdings": list(broker_ids) if with_holdings else [],
        "is_global": is_global,
        "lines": [_line_row(Line(broker_id)) for broker_id in broker_ids],
        "end": PanicEnd.NONE.value,
        "ended_at": None,
        "ended_by": "",
        "seq": 0,
    }
    await view.insert(_PANICS, row)
    return _panic_of(row)


async def hold_running(view: StoreView, panic_id: str, broker_id: str) -> bool:
    """Hold in the caller's transaction that a panic runs on an account; False when it has ended.

    The account's gate is written, which a user's end of the panic writes too. The panic itself is
    not: the pursuits of twenty accounts would collide on it.
    """
    await touch_gate(view, broker_id)
    panic = await panic_at(view, panic_id)
    return panic is not None and panic.is_running


async def widen_panic(view: StoreView, panic: Panic) -> bool:
    """Add to a panic that runs what ``panic`` has more; return whether it still did."""
    fields_ = {
        "lines": [_line_row(line) for line in panic.lines],
        "holdings": list(panic.holdings),
        "is_global": panic.is_global,
    }
    mine = {"_id": panic.panic_id, "end": PanicEnd.NONE.value}
    return await view.update(_PANICS, mine, Change(set=fields_, inc={"seq": 1})) == 1


async def put_lines(view: StoreView, panic_id: str, lines: Sequence[Line]) -> bool:
    """Store how the accounts stand, those that are named; return whether the panic still runs."""
    row = await view.get(_PANICS, panic_id)
    if row is None or row["end"] != PanicEnd.NONE.value:
        return False
    # Accounts may have been added meanwhile: their lines stay.
    new = {line.broker_id: _line_row(line) for line in lines}
    merged = [new.get(line["broker_id"], line) for line in row["lines"]]
    change = Change(set={"lines": merged}, inc={"seq": 1})
    mine = {"_id": panic_id, "end": PanicEnd.NONE.value}
    return await view.update(_PANICS, mine, change) == 1


async def end_panic(
    view: StoreView, panic_id: str, end: PanicEnd, *, at: datetime, by: str = ""
) -> bool:
    """End a panic; return whether it ran."""
    mine = {"_id": panic_id, "end": PanicEnd.NONE.value}
    change = Change(set={"end": end.value, "ended_at": at, "ended_by": by}, inc={"seq": 1})
    return await view.update(_PANICS, mine, change) == 1
