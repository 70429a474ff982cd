"""Orders as the journal and as a broker show them, with only what matters to a test spelled out."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side

__all__ = ["ACCOUNT", "DAY", "SBIN", "SENT_AT", "TAG", "entry_of", "order_in", "shown"]

ACCOUNT = "zerodha_aaaaaaaaaa"
SBIN = InstrumentId("NSE", "SBIN")
TAG = "SAAAAAAAAAAAAAAAAAAA"
DAY = "2021-05-12"
SENT_AT = datetime(2021, 5, 12, 4, 30, tzinfo=UTC)

_REQUEST = {field.name for field in fields(OrderRequest)}


def order_in(state: OrderState, **changes: Any) -> Order:
    """Return an entry of one SBIN in this state; ``changes`` name fields of it or its request."""
    request: dict[str, Any] = {
        "client_order_id": TAG,
        "instrument": SBIN,
        "side": Side.BUY,
        "quantity": 1,
        "order_type": OrderType.MARKET,
        "product": Product.MIS,
    }
    row: dict[str, Any] = {
        "broker_id": ACCOUNT,
        "strategy": "orb",
        "run_id": "orb|run",
        "purpose": Purpose.ENTRY,
        "day": DAY,
        "created_at": SENT_AT,
        "submitted_at": SENT_AT,
    }
    for name, value in changes.items():
        (request if name in _REQUEST else row)[name] = value
    return Order(OrderRequest(**request), state=state, **row)


def shown(
    broker_order_id: str = "b1", status: BrokerStatus = BrokerStatus.WORKING, **changes: Any
) -> BrokerOrder:
    """Return a broker's row of that order, tagged as ours unless ``tag`` says otherwise."""
    row: dict[str, Any] = {
        "instrument": SBIN,
        "side": Side.BUY,
        "product": Product.MIS,
        "order_type": OrderType.MARKET,
        "quantity": 1,
        "filled_quantity": 0,
        "average_price": Decimal(0),
        "tag": TAG,
    }
    return BrokerOrder(broker_order_id, status=status, **{**row, **changes})


def entry_of(ledger: Ledger, key: str, day: str, at: datetime) -> Order:
    """Return the order whose fill made a ledger."""
    request = OrderRequest(
        key,
        ledger.instrument,
        Side.of(ledger.quantity),
        abs(ledger.quantity),
        OrderType.MARKET,
        ledger.product,
    )
    return Order(
        request=request,
        broker_id=ledger.broker_id,
        strategy=ledger.strategy,
        run_id="held",
        purpose=Purpose.ENTRY,
        state=OrderState.FILLED,
        day=day,
        created_at=at,
        submitted_at=at,
        filled_quantity=abs(ledger.quantity),
        average_price=ledger.average_price,
    )
