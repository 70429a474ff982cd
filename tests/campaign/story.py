"""What happened in a world, line by line: for whoever looks into one seed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.campaign.world import World

__all__ = ["story_of"]

_ROUTINE = {"run_card", "order_update", "login_done"}


def story_of(world: World) -> list[str]:
    """Return everything that was written, sent, filled and told, oldest first."""
    return [line for _, line in sorted([*_journal(world), *_brokers(world), *_chat(world)])]


def _stamp(seconds: float) -> str:
    return f"{seconds:8.2f}"


def _journal(world: World) -> Iterator[tuple[float, str]]:
    start = world.start.timestamp()
    orders = {row["_id"]: row for row in world.rows("orders")}
    for event in world.rows("order_events"):
        row, at = orders[event["client_order_id"]], event["at"].timestamp() - start
        what = f"{row['strategy']} {row['purpose']} {row['side']} {row['quantity']}"
        filled = f"filled {event['filled_quantity']} {event['reason']}"
        yield at, f"{_stamp(at)} journal {row['_id'][-6:]} {what} {event['state']} {filled}"
    for run in world.rows("runs"):
        if run.get("is_signal"):
            at = run["created_at"].timestamp() - start
            wants = [(t.get("direction"), str(t.get("stop_price"))) for t in run["targets"]]
            yield at, f"{_stamp(at)} run     {run['_id']} {wants} {run['notes']}"


def _brokers(world: World) -> Iterator[tuple[float, str]]:
    for broker_id in world.accounts:
        venue, name = world.venue(broker_id), broker_id[:7]
        for write in venue.writes:
            tag = (write["tag"] or write.get("order_id") or "")[-6:]
            what = f"{write['action']} {write.get('side', '')} {write.get('quantity', '')}"
            yield (
                write["at"],
                f"{_stamp(write['at'])} {name} {tag} {what} applied={write['applied']}",
            )
        for trade in venue.trades:
            tag = (trade.order.tag or trade.order.origin)[-6:]
            net = sum(
                t.signed
                for t in venue.trades
                if t.order.key == trade.order.key and t.trade_id <= trade.trade_id
            )
            what = f"fill {trade.signed:+d} {trade.order.instrument} at {trade.price} -> {net}"
            yield trade.at, f"{_stamp(trade.at)} {name} {tag} {what}"
        for order in venue.orders.values():
            if order.ended_at and order.status != "COMPLETE":
                tag = (order.tag or order.origin)[-6:]
                what = f"{order.status} by {order.cancelled_by} {order.message}"
                yield order.ended_at, f"{_stamp(order.ended_at)} {name} {tag} {what}"


def _chat(world: World) -> Iterator[tuple[float, str]]:
    start = world.start.timestamp()
    for row in world.rows("outbox"):
        if row["kind"] not in _ROUTINE:
            at = row["created_at"].timestamp() - start
            yield at, f"{_stamp(at)} notice  {row['kind']} {row['data']}"
    for at, what in world.log:
        yield at, f"{_stamp(at)} world   {what}"
