"""What is left to close, for each account that may only exit (rows S1 and C5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import OrderRequest, OrderType, Side
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("C5")
INFY = InstrumentId("NSE", "INFY")


@pytest.fixture
async def desk() -> Desk:
    """Ten SBIN of a strategy at 815, forty INFY at 1,500, and a sale by hand that rests."""
    desk = await a_desk()
    desk.at.holding_list = [Holding(INFY, 40, 0, Decimal(1400), Decimal(1500))]
    desk.at.show(OrderRequest("byhand", INFY, Side.SELL, 40, OrderType.LIMIT, Product.CNC))
    await desk.holds(10)
    return desk


async def test_everything_that_is_left_is_in_the_view(desk: Desk) -> None:
    """Positions, holdings and orders at work, with what they are worth together."""
    modes, views = desk.engine.control.modes, desk.engine.control.views
    await modes.set(desk.engine.command(), TradingMode.EXIT_ONLY, desk.broker_id)
    (left,) = await views.drain()
    assert left.account.broker_id == desk.broker_id
    assert [(one.instrument, one.quantity) for one in left.positions] == [(SBIN, 10)]
    assert [(one.instrument, one.quantity) for one in left.holdings] == [(INFY, 40)]
    assert [(one.instrument, one.side) for one in left.working] == [(INFY, Side.SELL)]
    assert left.value == 10 * left.positions[0].last_price + 40 * 1500


async def test_the_mode_in_effect_decides_who_is_in_it(desk: Desk) -> None:
    """One that may enter is not drained; under the mode of all every account is."""
    engine = desk.engine
    assert await engine.control.views.drain() == ()
    other = await engine.connect("Other")
    await engine.control.modes.set(engine.command(), TradingMode.EXIT_ONLY, None)
    found = await engine.control.views.drain()
    assert [one.account.broker_id for one in found] == [desk.broker_id, other.broker_id]
    unread = found[1]
    assert (unread.positions, unread.value) == ((), None)
