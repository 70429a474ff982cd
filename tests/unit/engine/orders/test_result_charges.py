"""A result is told before charges and after them, by notices and on the cards of runs (E1, H5)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.charges import Execution, round_trip_charges
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.results import PositionClosed
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.engine.orders.folding import OrderEvent
from core.engine.orders.goals import Flattening, flatten, put_goal
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, order_in

S = OrderState
TRIP = Decimal("3.97")
"""10 bought at 363 and sold at 361 in MIS on 12 May 2021, values 3,630 and 3,610.

Brokerage 0.03 % is 1.089 and 1.083, so 2.17. STT 0.025 % of 3,620 is 0.905, so 1. Exchange
0.00345 % of 7,240 is 0.24978; SEBI 0.00724. GST 18 % of 2.43 is 0.4374. Stamp 0.1089, cut to 0.10.
"""
CARRIED = Decimal("3.96")
"""The same, each side rounded by itself: 1.09 + 0.13 + 0.22 + 0.10, and 1.08 + 1 + 0.12 + 0.22."""


@pytest.fixture
async def engine() -> MemoryEngine:
    return await MemoryEngine(ManualClock(SENT_AT, SENT_AT)).owned()


async def wanted(engine: MemoryEngine, quantity: int = 10) -> None:
    await put_goal(
        engine.store,
        strategy="orb",
        broker_id=ACCOUNT,
        instrument=SBIN,
        product=Product.MIS,
        quantity=quantity,
        stop_price=Decimal(361),
        run_id="orb|run",
        day=DAY,
        at=SENT_AT,
    )


def sale(key: str = "S", **changes: Any) -> Order:
    """Return a stop of ten that works at the broker."""
    row: dict[str, Any] = {
        "client_order_id": key * 20,
        "broker_order_id": key,
        "side": Side.SELL,
        "quantity": 10,
        "purpose": Purpose.STOP,
        "order_type": OrderType.SL_M,
    }
    return order_in(S.ACCEPTED, **{**row, **changes})


async def enter(engine: MemoryEngine) -> None:
    """Let the strategy buy ten at 363."""
    entry = order_in(S.ACCEPTED, quantity=10, broker_order_id="B")
    await engine.wiring.journal.add(engine.store, [entry])
    event = OrderEvent(S.FILLED, "B", 10, Decimal(363))
    await engine.wiring.journal.apply(entry.client_order_id, event)


async def sell(engine: MemoryEngine, order: Order, price: int = 361, units: int = 10) -> Order:
    """Let an order fill; return it."""
    journal = engine.wiring.journal
    if order.client_order_id not in {one.client_order_id for one in await engine.orders()}:
        await journal.add(engine.store, [order])
    state = S.FILLED if units == order.request.quantity else S.PARTIALLY_FILLED
    event = OrderEvent(state, order.broker_order_id, units, Decimal(price))
    await journal.apply(order.client_order_id, event)
    return await journal.get(order.client_order_id)


async def told(engine: MemoryEngine) -> PositionClosed:
    """Return the one result that was posted."""
    (closed,) = await engine.notices(PositionClosed)
    assert isinstance(closed, PositionClosed)
    return closed


@pytest.mark.row("H5")
async def test_stop_that_fired_is_told_with_its_charges(engine: MemoryEngine) -> None:
    """Those of the entry and of the stop; other trades of the day are not this position's."""
    earlier = order_in(S.FILLED, client_order_id="E" * 20, quantity=50, filled_quantity=50)
    other = replace(earlier, strategy="other", average_price=Decimal(363))
    await engine.wiring.journal.add(engine.store, [other])
    await enter(engine)
    await wanted(engine)
    await sell(engine, sale())
    closed = await told(engine)
    assert (closed.result, closed.charges) == (Decimal("-20.00"), TRIP)


async def test_position_that_was_carried_is_charged_for_both_its_days(
    engine: MemoryEngine,
) -> None:
    """No order of today opened it: its purchase is estimated at what it had cost."""
    await engine.hold(Ledger("orb", ACCOUNT, SBIN, Product.MIS, 10, Decimal(363), day=DAY))
    await engine.store.delete("orders", {})
    await wanted(engine)
    await sell(engine, sale())
    closed = await told(engine)
    assert closed.charges == CARRIED


async def test_account_of_an_unknown_broker_has_unknown_charges(engine: MemoryEngine) -> None:
    """The result is told all the same."""
    ledger = Ledger("orb", "toy_aaaaaaaaaa", SBIN, Product.MIS, 10, Decimal(363), day=DAY)
    await engine.hold(ledger)
    decision = Flattening("user|1", "close", "orb", "toy_aaaaaaaaaa", DAY, SENT_AT, SENT_AT)
    await flatten(engine.store, engine.wiring.outbox, [ledger], decision)
    leave = sale(broker_id="toy_aaaaaaaaaa", purpose=Purpose.EXIT, run_id="user|1")
    await sell(engine, leave)
    closed = await told(engine)
    assert (closed.result, closed.charges) == (Decimal(-20), None)


async def test_an_order_keeps_what_it_has_taken(engine: MemoryEngine) -> None:
    """Fill by fill, and only what closed units; an entry has taken nothing."""
    await enter(engine)
    (entry,) = await engine.orders()
    assert entry.realised is None
    order = sale()
    assert (await sell(engine, order, 361, 4)).realised == -8
    assert (await sell(engine, order, 360, 10)).realised == -30
    assert (await sell(engine, order, 360, 10)).realised == -30


@pytest.mark.row("E1")
async def test_card_of_a_run_shows_what_its_exits_brought(engine: MemoryEngine) -> None:
    """The run that closes has the result before and after charges; others have none."""
    await enter(engine)
    ledgers = await engine.ledgers()
    hit = Flattening("orb|off", "square-off", "orb", ACCOUNT, DAY, SENT_AT, SENT_AT)
    await flatten(engine.store, engine.wiring.outbox, ledgers, hit)
    run = await engine.control.views.run("orb|off")
    assert [(line.result, line.charges) for line in run.lines] == [(None, None)]
    await sell(engine, sale("X", purpose=Purpose.EXIT, run_id="orb|off"))
    run = await engine.control.views.run("orb|off")
    assert [(line.result, line.charges) for line in run.lines] == [(Decimal(-20), TRIP)]


def test_carried_shares_are_not_bought_and_sold_on_one_day() -> None:
    """Delivery of yesterday sold today is delivery on both sides, and leaves the depository."""
    sold = Execution("1", SBIN, Product.CNC, Side.SELL, 10, Decimal(1500))
    day = SENT_AT.date()
    carried = round_trip_charges([sold], (), Decimal(1498), "zerodha", day)
    assert carried.dp > 0
    assert carried.stt == 30
    bought = Execution("2", SBIN, Product.CNC, Side.BUY, 10, Decimal(1498))
    same_day = round_trip_charges([sold], [bought], Decimal(1498), "zerodha", day)
    assert (same_day.dp, same_day.stt) == (Decimal(0), Decimal(4))


def test_newest_purchases_are_the_ones_that_were_sold() -> None:
    """15 were bought in two orders and 10 sold: the later 8 and 2 of the earlier 7."""
    early = Execution("1", SBIN, Product.MIS, Side.BUY, 7, Decimal(100000))
    late = Execution("2", SBIN, Product.MIS, Side.BUY, 8, Decimal(100000))
    sold = Execution("3", SBIN, Product.MIS, Side.SELL, 10, Decimal(100000))
    charges = round_trip_charges([sold], [early, late], Decimal(100000), "zerodha", SENT_AT.date())
    assert charges.brokerage == 60
    assert charges.stamp == 30
