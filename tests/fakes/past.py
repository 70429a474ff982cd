"""Orders of a day that is over, with their steps and trades, as rows of the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.domain.broker import BrokerTrade
from core.domain.instrument import Product
from core.domain.order import OrderState, Side
from core.engine.orders.documents import fill_fields, order_row
from core.engine.orders.past import unpacked
from core.ports.store import Document, StoreView
from tests.fakes.orders import SBIN, order_in

__all__ = ["everything", "order_id", "put_day", "run_id"]

TABLES = ("orders", "order_events", "fills")


def order_id(broker_id: str, day: str, number: int) -> str:
    """Return the id of an order."""
    return f"{broker_id[-4:]}{day}#{number}"


def run_id(day: str, number: int) -> str:
    """Return the run of an order: two orders of a day share one."""
    return f"orb|{day}|{number // 2}"


async def put_day(
    view: StoreView,
    broker_id: str,
    day: str,
    count: int,
    *,
    state: OrderState = OrderState.FILLED,
    steps: int = 3,
) -> None:
    """Put a day's orders into the journal, each with its steps and its trade."""
    at = datetime.fromisoformat(f"{day}T04:30:00.123+00:00").astimezone(UTC)
    for number in range(count):
        key = order_id(broker_id, day, number)
        order = order_in(
            state,
            client_order_id=key,
            broker_id=broker_id,
            broker_order_id=f"b{day}{number}",
            run_id=run_id(day, number),
            day=day,
            created_at=at + timedelta(seconds=number),
            settled_at=at + timedelta(seconds=number + 1),
            filled_quantity=1,
            average_price=Decimal("801.50"),
            reason="“a reason” of the broker",
            version=steps,
        )
        events: list[Document] = [
            {"_id": f"{key}#{n}", "client_order_id": key, "broker_id": broker_id, "n": n, "at": at}
            for n in range(steps + 1)
        ]
        trade = BrokerTrade(
            f"t{number}", f"b{day}{number}", SBIN, Side.BUY, Product.MIS, 1, Decimal("801.50"), at
        )
        fill = fill_fields(broker_id, day, trade, {f"b{day}{number}": key})
        await view.insert("orders", order_row(order))
        await view.insert("order_events", *events)
        await view.insert("fills", {"_id": f"{broker_id}|{day}|{number}", **fill})


async def everything(view: StoreView) -> dict[str, list[Document]]:
    """Return all rows of the journal, those of finished days too, by table and in order."""
    found = {name: await view.find(name, {}) for name in TABLES}
    for lot in await view.find("past_orders", {}):
        found["orders"] += unpacked(lot["orders"])
        found["fills"] += unpacked(lot["trades"])
    for lot in await view.find("past_steps", {}):
        found["order_events"] += unpacked(lot["steps"])
    return {
        name: sorted(map(dict, rows), key=lambda row: row["_id"]) for name, rows in found.items()
    }
