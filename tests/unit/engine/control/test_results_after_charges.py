"""What the chat is told of results is before charges and after them (rows E2 and E3)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import BrokerTrade
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from tests.fakes.brokers import SBIN
from tests.fakes.desk import a_desk

pytestmark = pytest.mark.row("E2", "E3")


async def test_profit_of_an_account_and_of_a_position_has_its_charges() -> None:
    """10 bought at 810 by two orders, now 815: 50 before; brokerage of three orders and the rest.

    Brokerage 0.03 % of 4,050, 4,050 and 8,150 is 1.215, 1.215 and 2.445: in all 4.875. STT 0.025 %
    of 8,150 is 2.0375, so 2. Exchange 0.00307 % of 16,250 is 0.498875; SEBI 0.01625. GST 18 % of
    5.390125 is 0.9702225. Stamp 0.003 % of 8,100 is 0.243. Together 4.88 + 2 + 0.50 + 0.02 + 0.97 +
    0.24 = 8.61; each half is rounded by itself, which adds up to the same here.
    """
    desk = await a_desk()
    desk.at.trade_list = [
        BrokerTrade(
            number, number, SBIN, Side.BUY, Product.MIS, 5, Decimal(810), desk.clock.market_now()
        )
        for number in "12"
    ]
    await desk.holds(10)
    (pnl,) = await desk.engine.control.views.pnl(desk.broker_id)
    assert pnl.total == 50
    assert pnl.charges == Decimal("8.61")
    (position,) = await desk.engine.control.views.positions(desk.broker_id)
    assert position.charges == Decimal("8.61")
    dashboard = await desk.engine.control.views.dashboard(desk.broker_id)
    assert dashboard.pnl.charges == Decimal("8.61")


async def test_unknown_charges_reach_the_chat_as_unknown() -> None:
    """A user's own trade in gold has no rates: the account's charges are unknown, SBIN's are not."""
    desk = await a_desk()
    await desk.holds(10)
    gold = InstrumentId("MCX", "GOLD26DECFUT")
    desk.at.trade_list = [
        BrokerTrade(
            "9", "9", gold, Side.BUY, Product.NRML, 1, Decimal(100000), desk.clock.market_now()
        )
    ]
    await desk.clock.advance(60)
    await desk.turns(3)
    (pnl,) = await desk.engine.control.views.pnl(desk.broker_id)
    assert pnl.total is not None
    assert pnl.charges is None
    (position,) = await desk.engine.control.views.positions(desk.broker_id)
    assert position.charges
