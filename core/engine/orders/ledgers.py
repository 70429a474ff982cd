"""Ledgers in the store: what each strategy holds by its fills. Owns the collection ``ledgers``.

Every function takes a view, so that a ledger moves in the transaction of what moves it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key, with_fill
from core.domain.order import EXTERNAL, MANUAL, Order
from core.engine.remembered import Remembered
from core.ports.store import Change, Document, StoreView

__all__ = [
    "held_ledgers",
    "holders",
    "ledger_at",
    "ledger_of",
    "ledger_row",
    "ledgers_of",
    "moved_ledger",
    "put_ledger",
    "with_realised",
]

_LEDGERS = "ledgers"
_EXACT = Decimal("0.000001")
_WITHOUT_LEDGER = frozenset({MANUAL, EXTERNAL})
"""Owners of orders whose fills move no ledger: a ledger is what a strategy holds."""


async def ledgers_of(view: StoreView, broker_id: str | None) -> list[Ledger]:
    """Return an account's ledgers, with None those of all; flat ones included."""
    where = {} if broker_id is None else {"broker_id": broker_id}
    return [ledger_of(row) for row in await view.find(_LEDGERS, where)]


async def held_ledgers(view: StoreView) -> dict[str, list[Ledger]]:
    """Return what is held, by account: one question for all of them, for what looks often."""
    found: dict[str, list[Ledger]] = {}
    for ledger in await ledgers_of(view, None):
        if ledger.quantity:
            found.setdefault(ledger.broker_id, []).append(ledger)
    return found


async def holders(view: StoreView, broker_ids: Collection[str]) -> set[str]:
    """Return on which of these accounts a strategy holds something."""
    rows = await view.find(_LEDGERS, {"broker_id": {"$in": [*broker_ids]}})
    return {row["broker_id"] for row in rows if row["quantity"]}


async def ledger_at(view: StoreView, key: str) -> Ledger | None:
    """Return one ledger; None before its first fill."""
    row = await view.get(_LEDGERS, key)
    return ledger_of(row) if row else None


async def put_ledger(view: StoreView, ledger: Ledger) -> None:
    """Write a ledger as it stands now."""
    fields = ledger_row(ledger)
    key = fields.pop("_id")
    await view.update(_LEDGERS, {"_id": key}, Change(set=fields), upsert=True)


def ledger_row(ledger: Ledger) -> Document:
    """Return the document of a ledger."""
    return {
        "_id": ledger.key,
        "strategy": ledger.strategy,
        "broker_id": ledger.broker_id,
        "instrument": str(ledger.instrument),
        "product": ledger.product.value,
        "quantity": ledger.quantity,
        "average_price": ledger.average_price,
        "realised": ledger.realised,
        "day": ledger.day,
        "moved_units": ledger.moved_units,
        "moved_value": ledger.moved_value,
        "moved_day": ledger.moved_day,
    }


def _read(row: Document) -> Ledger:
    return Ledger(
        row["strategy"],
        row["broker_id"],
        InstrumentId.parse(row["instrument"]),
        Product(row["product"]),
        row["quantity"],
        row["average_price"],
        row["realised"],
        row.get("day", ""),
        row.get("moved_units", 0),
        row.get("moved_value", Decimal(0)),
        row.get("moved_day", ""),
    )


ledger_of: Remembered[Ledger] = Remembered(_read)
"""Returns the ledger of a document."""


async def moved_ledger(
    view: StoreView, before: Order, after: Order
) -> tuple[Ledger, Ledger] | None:
    """Return the ledger before and after what newly filled; None when nothing moves one."""
    # By the difference, in the transaction that raises the total: a repeated event moves the
    # ledger by nothing, and a crash leaves both or neither (I5).
    newly = after.filled_quantity - before.filled_quantity
    if newly <= 0 or after.strategy in _WITHOUT_LEDGER:
        return None
    # Brokers give the average of all fills; the new ones' price is what the total rose by.
    value = (
        after.average_price * after.filled_quantity - before.average_price * before.filled_quantity
    )
    request = after.request
    key = ledger_key(after.strategy, after.broker_id, request.instrument, request.product)
    ledger = await ledger_at(view, key) or _empty_ledger(after)
    return ledger, with_fill(ledger, newly * request.side.sign, value / newly)


def with_realised(order: Order, before: Ledger, after: Ledger) -> Order:
    """Return the order with what its fills have taken by closing units."""
    if before.quantity * order.request.side.sign >= 0:
        return order
    # The price of what newly filled comes of a division: its last digits are not rupees.
    taken = (after.realised - before.realised).quantize(_EXACT)
    return replace(order, realised=(order.realised or Decimal(0)) + taken)


def _empty_ledger(order: Order) -> Ledger:
    return Ledger(order.strategy, order.broker_id, order.request.instrument, order.request.product)
