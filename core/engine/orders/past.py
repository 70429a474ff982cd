"""Finished days, packed: many orders in one document, so that a start costs what today costs.

Owns ``past_orders`` (a lot of one account's finished orders of one day, and some trades of that
day; ``ids`` and ``runs`` say which orders, and lead to them) and ``past_steps`` (the steps of the
same orders, which are not kept for good). The journal puts its rows here (``move_finished``) and
looks here for what it has no more; what is here never changes. The setting ``past`` says up to
which day anything may have been moved, so that who asks for a day of now asks nothing here
(decision 0042).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.engine.stored_settings import read_setting, write_setting
from core.ports.store import Change, Document, StoreView, parts

__all__ = [
    "PAST",
    "Lot",
    "forget_past_steps",
    "lot_rows",
    "packed",
    "past_order",
    "past_orders_of",
    "past_orders_of_run",
    "past_trades",
    "put_lot",
    "reach",
    "unpacked",
    "with_past",
]

PAST = "past"
"""The setting: ``until`` is the newest day of which anything may have been moved."""
_ORDERS = "past_orders"
_STEPS = "past_steps"
_DECIMAL, _TIME = "$decimal", "$time"


@dataclass(frozen=True, slots=True)
class Lot:
    """Rows that go together.

    Attributes:
        broker_id: Whose orders they are.
        day: Their day.
        orders: Final orders.
        trades: Of the same account and day, of these orders or of others.
        steps: Of these orders.
    """

    broker_id: str
    day: str
    orders: Sequence[Document]
    trades: Sequence[Document]
    steps: Sequence[Document]


def packed(rows: Sequence[Document]) -> bytes:
    """Return rows as compressed JSON; raises ``TypeError`` for a value that it cannot keep."""
    text = json.dumps(list(rows), default=_as_json, separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode())


def unpacked(data: bytes) -> list[Document]:
    """Return the rows, equal to what was packed."""
    found: list[Document] = json.loads(zlib.decompress(data), object_hook=_value)
    return found


def _as_json(value: object) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {_DECIMAL: str(value)}
    if isinstance(value, datetime):
        return {_TIME: value.isoformat()}
    raise TypeError(f"a {type(value).__name__} cannot be packed")


def _value(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        if (number := found.get(_DECIMAL)) is not None:
            return Decimal(number)
        if (time := found.get(_TIME)) is not None:
            return datetime.fromisoformat(time)
    return found


def lot_rows(lot: Lot) -> tuple[Document, Document | None]:
    """Return the documents of a lot: of its orders, and of its steps if it has any."""
    ids = [row["_id"] for row in lot.orders]
    whose = {"broker_id": lot.broker_id, "day": lot.day}
    # One lot has one name, whatever was tried before: its first order is in no other.
    key = f"{lot.broker_id}|{lot.day}|{ids[0] if ids else lot.trades[0]['_id']}"
    orders: Document = {
        "_id": key,
        **whose,
        "ids": ids,
        "runs": sorted({row["run_id"] for row in lot.orders}),
        "orders": packed(lot.orders),
        "trades": packed(lot.trades),
    }
    if not lot.steps:
        return orders, None
    at = max(row["at"] for row in lot.steps)
    return orders, {"_id": key, **whose, "at": at, "steps": packed(lot.steps)}


async def reach(view: StoreView, day: str) -> None:
    """Say that rows of a day may be moved from now on: whoever misses one there looks here.

    In a commit before the first of its lots. A controller knows what it has committed when it hears
    of it, and what it asks the server for is gone some milliseconds before.
    """
    if not await _reaches(view, day):
        await write_setting(view, PAST, Change(set={"until": day}))


async def put_lot(view: StoreView, lot: Lot) -> None:
    """Keep a lot, in the transaction that removes its rows from where they were."""
    orders, steps = lot_rows(lot)
    await reach(view, lot.day)
    await view.insert(_ORDERS, orders)
    if steps is not None:
        await view.insert(_STEPS, steps)


async def _reaches(view: StoreView, day: str) -> bool:
    """Whether anything of a day, with '' of any day, may have been moved here."""
    row = await read_setting(view, PAST)
    return row is not None and day <= row["until"]


async def with_past(
    view: StoreView, rows: list[Document], broker_id: str, day: str
) -> list[Document]:
    """Return an account's orders of a day, of which the journal still holds ``rows``.

    They were asked for first: what moves between the two questions is then in both, never in none.
    """
    if not await _reaches(view, day):
        return rows
    found = await view.find(_ORDERS, {"broker_id": broker_id, "day": day})
    return _both(rows, [row for lot in found for row in unpacked(lot["orders"])])


def _both(rows: list[Document], past: Sequence[Document]) -> list[Document]:
    held = {row["_id"] for row in rows}
    return [*rows, *(row for row in past if row["_id"] not in held)]


async def past_order(view: StoreView, key: str) -> Document | None:
    """Return the row of an order that was moved, by its id; None when there is none."""
    if not key or not await _reaches(view, ""):
        return None
    lots = await view.find(_ORDERS, {"ids": key})
    rows = [row for lot in lots for row in unpacked(lot["orders"])]
    return next((row for row in rows if row["_id"] == key), None)


async def past_orders_of_run(view: StoreView, rows: list[Document], run_id: str) -> list[Document]:
    """Return the orders of a run, of which the journal still holds ``rows``."""
    if not await _reaches(view, min((row["day"] for row in rows), default="")):
        return rows
    lots = await view.find(_ORDERS, {"runs": run_id})
    past = [row for lot in lots for row in unpacked(lot["orders"])]
    return _both(rows, [row for row in past if row["run_id"] == run_id])


async def past_orders_of(view: StoreView, rows: list[Document], broker_id: str) -> list[Document]:
    """Return every order of an account, of which the journal still holds ``rows``."""
    if not await _reaches(view, ""):
        return rows
    lots = await view.find(_ORDERS, {"broker_id": broker_id})
    return _both(rows, [row for lot in lots for row in unpacked(lot["orders"])])


async def past_trades(
    view: StoreView, rows: list[Document], broker_id: str, day: str
) -> list[Document]:
    """Return an account's trades of a day, of which the journal still holds ``rows``."""
    if not await _reaches(view, day):
        return rows
    found = await view.find(_ORDERS, {"broker_id": broker_id, "day": day})
    return _both(rows, [row for lot in found for row in unpacked(lot["trades"])])


async def forget_past_steps(
    view: StoreView, broker_id: str, since: datetime, until: datetime
) -> int:
    """Remove the lots of steps whose newest is of this time; return how many lots."""
    where = {"broker_id": broker_id, "at": {"$gte": since, "$lt": until}}
    ids = [row["_id"] for row in await view.find(_STEPS, where)]
    return sum([await view.delete(_STEPS, {"_id": {"$in": some}}) for some in parts(ids)])
