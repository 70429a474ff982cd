"""Goals: where each strategy wants each ledger to stand. Owns the collection ``goals``.

A goal has the key of its ledger and the fields of :class:`core.domain.converge.Goal`, besides
``day`` (a goal of an earlier day is stale: MIS positions do not live over night) and ``set_at``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.converge import Goal
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key
from core.engine.orders.documents import ledger_of
from core.engine.orders.journal import run_card
from core.engine.outbox import Outbox
from core.ports.store import Change, Document, StoreView

__all__ = ["Flattening", "flatten", "goal_of", "goals_of", "put_goal", "to_flatten"]


def goal_of(row: Document) -> Goal:
    """Turn a stored document into a ``Goal``."""
    return Goal(
        key=row["_id"],
        strategy=row["strategy"],
        broker_id=row["broker_id"],
        instrument=InstrumentId.parse(row["instrument"]),
        product=Product(row["product"]),
        quantity=row["quantity"],
        stop_price=row.get("stop_price"),
        run_id=row["run_id"],
        can_rest=row.get("can_rest", True),
    )


async def goals_of(view: StoreView, broker_id: str) -> list[Goal]:
    """Return an account's goals."""
    return [goal_of(row) for row in await view.find("goals", {"broker_id": broker_id})]


async def put_goal(
    view: StoreView,
    *,
    strategy: str,
    broker_id: str,
    instrument: InstrumentId,
    product: Product,
    quantity: int,
    stop_price: Decimal | None,
    run_id: str,
    day: str,
    at: datetime,
) -> None:
    """Set one goal; a stop may rest at the broker again."""
    fields = {
        "strategy": strategy,
        "broker_id": broker_id,
        "instrument": str(instrument),
        "product": product.value,
        "quantity": quantity,
        "stop_price": stop_price,
        "run_id": run_id,
        "can_rest": True,
        "day": day,
        "set_at": at,
    }
    key = ledger_key(strategy, broker_id, instrument, product)
    await view.update("goals", {"_id": key}, Change(set=fields), upsert=True)


async def to_flatten(view: StoreView, broker_id: str) -> list[Ledger]:
    """Return what strategies hold on an account or still want to: ledgers and goals not flat.

    A goal without units yet belongs to an entry that may still fill.
    """
    rows = await view.find("ledgers", {"broker_id": broker_id})
    ledgers = {row["_id"]: ledger_of(row) for row in rows if row["quantity"]}
    for goal in await goals_of(view, broker_id):
        if goal.quantity and goal.key not in ledgers:
            ledgers[goal.key] = Ledger(goal.strategy, broker_id, goal.instrument, goal.product)
    return list(ledgers.values())


@dataclass(frozen=True, slots=True)
class Flattening:
    """One decision to make ledgers of an account flat, that is no strategy's own.

    Attributes:
        run_id: Unique; the card in the chat and the exits carry it.
        kind: Why, for the card: ``square-off``, ``close`` or ``switch-off``.
        strategy: Whose ledgers, or ``manual`` for a person's decision.
        day: Trading day.
        at: Real time.
        market_at: Market time.
    """

    run_id: str
    kind: str
    strategy: str
    broker_id: str
    day: str
    at: datetime
    market_at: datetime


async def flatten(
    view: StoreView, outbox: Outbox, ledgers: list[Ledger], decision: Flattening
) -> None:
    """Set the goal of each of these ledgers to flat, and show it as a run of its own."""
    for ledger in ledgers:
        await put_goal(
            view,
            strategy=ledger.strategy,
            broker_id=ledger.broker_id,
            instrument=ledger.instrument,
            product=ledger.product,
            quantity=0,
            stop_price=None,
            run_id=decision.run_id,
            day=decision.day,
            at=decision.at,
        )
    await view.insert(
        "runs",
        {
            "_id": decision.run_id,
            "strategy": decision.strategy,
            "slot_at": decision.market_at,
            "targets": [],
            "notes": {},
            "broker_ids": [decision.broker_id],
            "is_signal": True,
            "kind": decision.kind,
            "created_at": decision.at,
        },
    )
    await outbox.post(view, run_card(decision.run_id))
