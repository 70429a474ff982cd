"""Trades are shown with whose they are, also where their order became known after them (E3)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus, BrokerTrade
from core.domain.instrument import Product
from core.domain.order import EXTERNAL, OrderState, Side
from core.domain.sessions import trading_day
from tests.fakes.desk import Desk, a_desk
from tests.fakes.orders import SBIN, TAG, order_in, shown


async def owners(desk: Desk) -> dict[str, str]:
    """Return who the list of trades says each order's are of."""
    found = await desk.engine.control.views.trades(desk.broker_id)
    return {one.trade.broker_order_id: one.strategy for one in found}


@pytest.mark.row("E3")
@pytest.mark.matrix("N03")
async def test_trade_that_is_listed_before_its_order_becomes_the_strategys() -> None:
    """The answer was lost and the order shows late: until then nobody can say that it is ours."""
    desk = await a_desk()
    now = desk.clock.now()
    day = trading_day(desk.clock.market_now())
    of_us = {"broker_id": desk.broker_id, "day": day, "created_at": now, "submitted_at": now}
    unknown = order_in(OrderState.UNRESOLVED, quantity=5, **of_us)
    await desk.engine.wiring.journal.add(desk.engine.store, [unknown])
    desk.at.trade_list = [
        BrokerTrade(f"t{number}", number, SBIN, Side.BUY, Product.MIS, 5, Decimal(810), now)
        for number in ("b1", "b2")
    ]
    filled = {"quantity": 5, "filled_quantity": 5, "average_price": Decimal(810)}
    desk.at.order_list["b2"] = shown("b2", BrokerStatus.COMPLETE, tag=None, **filled)
    await desk.turns(2, apart_s=1)
    assert await owners(desk) == {"b1": EXTERNAL, "b2": EXTERNAL}
    desk.at.order_list["b1"] = shown("b1", BrokerStatus.COMPLETE, tag=TAG, **filled)
    await desk.turns(2, apart_s=1)
    assert await owners(desk) == {"b1": "orb", "b2": EXTERNAL}
