"""Orders that the day's orders do not show: of unknown fate, lost listings, trades alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import BrokerOrder, BrokerStatus, BrokerTrade
from core.domain.inquiry import Inquiry, candidate_of
from core.domain.instrument import Product
from core.domain.matching import look_alikes, match_orders
from core.domain.order import LIVE_STATES, UNKNOWN_STATES, Order, OrderState, OrderType
from core.domain.truth import filled, key_of
from core.engine.orders.baselines import Baseline
from core.engine.orders.decisions import Adopt, Advance, Decision, OrdersRead, sent_at
from core.engine.orders.folding import OrderEvent
from core.engine.orders.snapshot import Snapshot

__all__ = ["compared", "doubted_exits", "inquiries_of", "of_trades", "unlisted"]

_LOOKS = 5
_LISTED_WITHIN = timedelta(seconds=15)


def doubted_exits(ours: Iterable[Order], snapshot: Snapshot, base: Baseline) -> frozenset[str]:
    """Return the exits of unknown fate whose absence proves nothing.

    Absence is believed when reads that began after the send differ from one another, so that they
    do not stand still, and when positions that were read after it show no trace of the exit.
    """
    rows = list(ours)
    found = [one for one in rows if one.purpose.is_reducing and one.state in UNKNOWN_STATES]
    return frozenset(one.client_order_id for one in found if _is_doubted(one, rows, snapshot, base))


def _is_doubted(order: Order, rows: Sequence[Order], snapshot: Snapshot, base: Baseline) -> bool:
    sent = order.submitted_at or order.created_at
    if not _is_after(snapshot.moves_since, sent):
        return True
    if snapshot.positions is None or not _is_after(snapshot.positions_began_at, sent):
        return True
    return bool(_gap(order, rows, snapshot, base))


def _gap(order: Order, rows: Sequence[Order], snapshot: Snapshot, base: Baseline) -> int | None:
    """Return the units that positions read since the send show beyond the fills, if known."""
    if not _is_after(snapshot.positions_began_at, order.submitted_at or order.created_at):
        return None
    key = key_of(order)
    # Of delivery shares the positions list the day alone.
    before = 0 if key[1] is Product.CNC else base.of(key)
    if before is None:
        return None
    today = [row for row in rows if row.day == order.day]
    shows = sum(one.quantity for one in snapshot.positions or () if key_of(one) == key)
    return shows - before - filled(today).get(key, 0)


def compared(ours: Sequence[Order], snapshot: Snapshot, base: Baseline) -> dict[str, Inquiry]:
    """Return what trades and positions show of each unresolved order, by client order id."""
    return {
        order.client_order_id: Inquiry(
            traded=_traded(order, ours, snapshot), gap=_gap(order, ours, snapshot, base)
        )
        for order in ours
        if order.state is OrderState.UNRESOLVED
    }


def inquiries_of(
    ours: Sequence[Order], read: OrdersRead, snapshot: Snapshot, base: Baseline
) -> dict[str, Inquiry]:
    """Return what the broker shows of each unresolved order, by client order id."""
    found = compared(ours, snapshot, base)
    if not found:
        return {}
    foreign = match_orders(list(ours), read.theirs).foreign
    return {
        order.client_order_id: replace(
            found[order.client_order_id],
            candidates=tuple(
                candidate_of(seen) for seen in look_alikes(order, foreign, sent_at(order, read))
            ),
            is_overdue=read.is_over(order),
        )
        for order in ours
        if order.client_order_id in found
    }


def _traded(order: Order, ours: Sequence[Order], snapshot: Snapshot) -> int | None:
    """Return the units of trades read since the send that no order of ours explains."""
    if not _is_after(snapshot.trades_began_at, order.submitted_at or order.created_at):
        return None
    known = {one.broker_order_id for one in ours if one.broker_order_id}
    trades = {(one.broker_order_id, one.trade_id): one for one in snapshot.trades or ()}
    return sum(
        trade.quantity
        for trade in trades.values()
        if trade.broker_order_id not in known and _could_be(order, trade)
    )


def _is_after(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment > other


def unlisted(ours: Iterable[Order], read: OrdersRead, snapshot: Snapshot) -> list[Order]:
    """Return the orders that the broker took and has not listed for some reads in a row."""
    missing = [
        order
        for order in match_orders(list(ours), read.theirs).missing
        if order.state in LIVE_STATES
        and order.day == read.day
        and order.client_order_id not in read.in_flight
    ]
    counts = snapshot.missing([order.client_order_id for order in missing])
    return [
        order
        for order in missing
        if counts[order.client_order_id] >= _LOOKS
        and read.began_at - (order.submitted_at or order.created_at) >= _LISTED_WITHIN
    ]


def of_trades(trades: Iterable[BrokerTrade], ours: Sequence[Order]) -> Iterator[Decision]:
    """Return what the day's trades show beyond the orders: a fill is a fill whoever shows it."""
    by_order: dict[str, list[BrokerTrade]] = {}
    # An answer may hold a row twice; a trade counts once (I5).
    for trade in {(one.broker_order_id, one.trade_id): one for one in trades}.values():
        by_order.setdefault(trade.broker_order_id, []).append(trade)
    known = {order.broker_order_id: order for order in ours if order.broker_order_id}
    # One that was given up is no better known: it may come back with its tag.
    unknown = [order for order in ours if order.state in UNKNOWN_STATES | {OrderState.NOT_PLACED}]
    for broker_order_id, made in by_order.items():
        order = known.get(broker_order_id)
        if order is None:
            # It may be ours without an answer; its tag, which only the orders show, decides that.
            if not any(_could_be(one, made[0]) for one in unknown):
                yield Adopt(_order_of(broker_order_id, made))
        elif sum(one.quantity for one in made) > order.filled_quantity:
            yield Advance(order, _fills_of(order, made))


def _could_be(order: Order, trade: BrokerTrade) -> bool:
    request = order.request
    return (request.instrument, request.side, request.product) == (
        trade.instrument,
        trade.side,
        trade.product,
    )


def _fills_of(order: Order, trades: Sequence[BrokerTrade]) -> OrderEvent:
    units, price = _sum(trades)
    is_done = units >= order.request.quantity
    state = OrderState.FILLED if is_done else OrderState.PARTIALLY_FILLED
    return OrderEvent(state, filled_quantity=units, average_price=price)


def _order_of(broker_order_id: str, trades: Sequence[BrokerTrade]) -> BrokerOrder:
    """Return the order that trades tell of; that it is done is not known."""
    first = trades[0]
    units, price = _sum(trades)
    return BrokerOrder(
        broker_order_id,
        first.instrument,
        first.side,
        first.product,
        OrderType.MARKET,
        quantity=units,
        filled_quantity=units,
        average_price=price,
        status=BrokerStatus.WORKING,
        placed_at=first.traded_at,
    )


def _sum(trades: Sequence[BrokerTrade]) -> tuple[int, Decimal]:
    units = sum(trade.quantity for trade in trades)
    value = sum((trade.price * trade.quantity for trade in trades), Decimal(0))
    return units, value / units if units else Decimal(0)
