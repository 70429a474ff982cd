"""Lists of positions, orders, trades, profit: of today, newest first, of one account or all (E3)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.domain.broker import BrokerStatus, BrokerTrade
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.order import OrderState, Side
from core.domain.sessions import trading_day
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.orders import SBIN, order_in, shown

pytestmark = pytest.mark.row("E3")


async def traded(desk: Desk, *numbers: str) -> None:
    """Let orders be filled one after another, each in a minute of its own."""
    day = trading_day(desk.clock.market_now())
    for number in numbers:
        await desk.clock.advance(60)
        now = desk.clock.now()
        filled = {"quantity": 5, "filled_quantity": 5, "average_price": Decimal(810)}
        order = order_in(
            OrderState.FILLED,
            client_order_id=f"S{number:A>19}",
            broker_order_id=number,
            broker_id=desk.broker_id,
            day=day,
            created_at=now,
            submitted_at=now,
            **filled,
        )
        await desk.engine.wiring.journal.add(desk.engine.store, [order])
        desk.at.order_list[number] = shown(
            number, BrokerStatus.COMPLETE, tag=order.client_order_id, **filled
        )
        at = desk.clock.market_now()
        made = BrokerTrade(f"t{number}", number, SBIN, Side.BUY, Product.MIS, 5, Decimal(810), at)
        desk.at.trade_list = [*desk.at.trade_list, made]
    await desk.turns(2, apart_s=1)


async def test_orders_and_trades_are_listed_newest_first() -> None:
    """What just happened is on the first page, whatever order the broker has."""
    desk = await a_desk()
    await traded(desk, "b1", "b2", "b3")
    views = desk.engine.control.views
    orders = [one.broker_order_id for one in await views.orders(desk.broker_id)]
    assert orders == ["b3", "b2", "b1"]
    trades = [one.trade.broker_order_id for one in await views.trades(desk.broker_id)]
    assert trades == ["b3", "b2", "b1"]


async def test_all_accounts_together_are_each_accounts_own() -> None:
    """One that was never read is named as not known, and is not left out."""
    desk = await a_desk()
    other = await desk.engine.connect("Other", FYERS)
    await desk.engine.hold(Ledger(STRATEGY, other.broker_id, SBIN, Product.MIS, 7, Decimal(810)))
    await desk.holds(5)
    views = desk.engine.control.views
    held = {one.broker_id: one.quantity for one in await views.positions(None)}
    assert held[desk.broker_id] == 5
    profit = {one.broker_id: one.total for one in await views.pnl(None)}
    assert profit[desk.broker_id] is not None
    assert profit[other.broker_id] is None
    assert {one.broker_id for one in await views.pnl(other.broker_id)} == {other.broker_id}
    assert {one.broker_id for one in await views.orders(None)} >= {desk.broker_id}


async def test_what_a_strategy_holds_is_listed_once_whatever_the_broker_lists() -> None:
    """Its units do not go away because a list lacks them, and neither does what is said of them."""
    desk = await a_desk()
    await desk.holds(5)
    views = desk.engine.control.views
    (position,) = await views.positions(desk.broker_id)
    assert (position.quantity, position.is_listed) == (5, True)
    desk.at.position_list.clear()
    await desk.clock.advance(60)
    await desk.turns(1)
    (position,) = await views.positions(desk.broker_id)
    assert (position.owners, position.is_listed) == ({STRATEGY: 5}, False)
    (warning,) = position.warnings
    assert warning.endswith(
        "not known what the broker holds of it, and no stop rests at the broker"
    )


async def test_yesterdays_figures_are_not_shown_as_todays() -> None:
    """Until the first read of the day nothing is known of it."""
    desk = await a_desk()
    await traded(desk, "b1")
    await desk.holds(5)
    views = desk.engine.control.views
    (pnl,) = await views.pnl(desk.broker_id)
    assert pnl.total is not None
    await desk.clock.advance(timedelta(days=1).total_seconds())
    (pnl,) = await views.pnl(desk.broker_id)
    assert pnl.total is None
    assert not [one for one in await views.positions(desk.broker_id) if one.is_listed]
    assert await views.orders(desk.broker_id) == ()
    assert await views.trades(desk.broker_id) == ()
    assert (await views.dashboard(desk.broker_id)).as_of is None
