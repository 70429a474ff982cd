"""Ledgers in the store: what each strategy holds by its fills. Owns the collection ``ledgers``.

Every function takes a view, so that a ledger moves in the transaction of what moves it.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.engine.remembered import Remembered
from core.ports.store import Change, Document, StoreView

__all__ = ["held_ledgers", "ledger_at", "ledger_of", "ledger_row", "ledgers_of", "put_ledger"]

_LEDGERS = "ledgers"


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
