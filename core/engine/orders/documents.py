"""Documents of ``orders``, ``order_events`` and ``fills`` and their domain objects, both ways."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.domain.broker import BrokerTrade
from core.domain.instrument import InstrumentId, Product
from core.domain.order import (
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    Validity,
)
from core.domain.outcome import Cause, Refusal
from core.engine.remembered import Remembered
from core.ports.store import Document

__all__ = ["audit_row", "fill_fields", "order_of", "order_row", "trade_of"]


def order_row(order: Order) -> Document:
    """Return the document of an order."""
    request = order.request
    return {
        "_id": request.client_order_id,
        "broker_id": order.broker_id,
        "strategy": order.strategy,
        "run_id": order.run_id,
        "purpose": order.purpose.value,
        "state": order.state.value,
        "day": order.day,
        "instrument": str(request.instrument),
        "product": request.product.value,
        "side": request.side.value,
        "quantity": request.quantity,
        "order_type": request.order_type.value,
        "limit_price": request.limit_price,
        "trigger_price": request.trigger_price,
        "validity": request.validity.value,
        "attempt": order.attempt,
        "broker_order_id": order.broker_order_id,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "reason": order.reason,
        "held_for": order.held_for.value if order.held_for else None,
        "cause": order.cause.value if order.cause else None,
        "largest": order.largest,
        "created_at": order.created_at,
        "submitted_at": order.submitted_at,
        "filled_at": order.filled_at,
        "settled_at": order.settled_at,
        "triggered_at": order.triggered_at,
        "changed_at": order.changed_at,
        "replaced_quantity": order.replaced[0] if order.replaced else None,
        "replaced_trigger": order.replaced[1] if order.replaced else None,
        "asked_quantity": order.asked[0] if order.asked else None,
        "asked_trigger": order.asked[1] if order.asked else None,
        "is_changed_outside": order.is_changed_outside,
        "cancel_reason": order.cancel_reason,
        "realised": order.realised,
        "decided_price": order.decided_price,
        "version": order.version,
    }


def _read_order(row: Document) -> Order:
    """Return the order of a document."""
    request = OrderRequest(
        client_order_id=row["_id"],
        instrument=InstrumentId.parse(row["instrument"]),
        side=Side(row["side"]),
        quantity=row["quantity"],
        order_type=OrderType(row["order_type"]),
        product=Product(row["product"]),
        limit_price=row.get("limit_price"),
        trigger_price=row.get("trigger_price"),
        validity=Validity(row.get("validity", "DAY")),
    )
    return Order(
        request=request,
        broker_id=row["broker_id"],
        strategy=row["strategy"],
        run_id=row["run_id"],
        purpose=Purpose(row["purpose"]),
        state=OrderState(row["state"]),
        day=row["day"],
        created_at=row["created_at"],
        attempt=row.get("attempt", 1),
        broker_order_id=row.get("broker_order_id"),
        filled_quantity=row["filled_quantity"],
        average_price=row["average_price"],
        reason=row.get("reason", ""),
        held_for=Refusal(row["held_for"]) if row.get("held_for") else None,
        cause=Cause(row["cause"]) if row.get("cause") else None,
        largest=row.get("largest"),
        submitted_at=row.get("submitted_at"),
        filled_at=row.get("filled_at"),
        settled_at=row.get("settled_at"),
        triggered_at=row.get("triggered_at"),
        changed_at=row.get("changed_at"),
        replaced=_terms(row, "replaced"),
        asked=_terms(row, "asked"),
        is_changed_outside=row.get("is_changed_outside", False),
        cancel_reason=row.get("cancel_reason", ""),
        realised=row.get("realised"),
        decided_price=row.get("decided_price"),
        version=row["version"],
    )


order_of: Remembered[Order] = Remembered(_read_order)
"""Returns the order of a document."""


def _terms(row: Document, which: str) -> tuple[int, Decimal | None] | None:
    quantity = row.get(f"{which}_quantity")
    return None if quantity is None else (quantity, row.get(f"{which}_trigger"))


def trade_of(row: Document) -> BrokerTrade:
    """Read a stored trade."""
    return BrokerTrade(
        row["trade_id"],
        row["broker_order_id"],
        InstrumentId.parse(row["instrument"]),
        Side(row["side"]),
        Product(row["product"]),
        row["quantity"],
        row["price"],
        row["traded_at"],
    )


def audit_row(order: Order, old: str, at: datetime) -> Document:
    """Return the audit row of an order's newest step: ``old`` is the state before, '' at first."""
    return {
        "_id": f"{order.client_order_id}#{order.version}",
        "client_order_id": order.client_order_id,
        "broker_id": order.broker_id,
        "n": order.version,
        "old": old,
        "state": order.state.value,
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "broker_order_id": order.broker_order_id,
        "reason": order.reason,
        "at": at,
    }


def fill_fields(broker_id: str, day: str, trade: BrokerTrade, owners: dict[str, str]) -> Document:
    """Return the fields of a trade, ``owners`` as ``Journal.record_trades`` takes them."""
    return {
        "broker_id": broker_id,
        "day": day,
        "client_order_id": owners.get(trade.broker_order_id, ""),
        "broker_order_id": trade.broker_order_id,
        "trade_id": trade.trade_id,
        "instrument": str(trade.instrument),
        "product": trade.product.value,
        "side": trade.side.value,
        "quantity": trade.quantity,
        "price": trade.price,
        "traded_at": trade.traded_at,
    }
