"""Stops that were set on an earlier day: a split over night closes nothing (R7, decision 0047)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from core.domain.goal import NoRest
from core.domain.instrument import Product
from core.domain.notices.protection import StopHit, Unprotected
from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.sessions import IST
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R7", "D9")
STOP = Decimal("800.00")
THROUGH = "Trigger price for stoploss sell orders should be lower than the last traded price."


def through(order: OrderRequest) -> WriteOutcome | None:
    is_stop = order.order_type is OrderType.SL_M
    return Refused(Refusal.REJECTED, THROUGH) if is_stop else None


async def on_the_next_day(last: Decimal, close: Decimal | None) -> Desk:
    """Return a desk that carried 10 SBIN with a stop into a day whose prices are these."""
    evening = datetime(2026, 11, 23, 15, 29, tzinfo=IST)
    desk = await a_desk(ManualClock(evening))
    desk.product = Product.NRML
    await desk.holds(10, STOP)
    desk.at.answer, desk.at.price, desk.at.previous_close = through, last, close
    await desk.clock.advance_to(datetime(2026, 11, 25, 9, 15, tzinfo=IST))
    desk.at.order_list.clear()
    await desk.engine.log_in(await desk.engine.wiring.accounts.get(desk.broker_id))
    return desk


async def watch(desk: Desk, times: int) -> None:
    for _ in range(times):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(2, apart_s=1.5)


async def test_split_over_night_closes_nothing_and_is_named() -> None:
    """The price seems to be through the stop, and the last close too: a person looks at it."""
    desk = await on_the_next_day(Decimal(161), Decimal(162))
    await watch(desk, 8)
    assert await desk.units() == 10
    assert await desk.orders(Purpose.EXIT) == []
    assert await desk.engine.notices(StopHit) == []
    (notice,) = await desk.engine.notices(Unprotected)
    assert isinstance(notice, Unprotected)
    assert "800.00" in notice.why and "162" in notice.why and "split" in notice.why
    assert (await desk.goal()).no_rest is NoRest.REBASED


async def test_stop_that_is_set_anew_after_a_split_protects() -> None:
    """A price of today is asked for at the broker and believed."""
    desk = await on_the_next_day(Decimal(161), Decimal(162))
    await watch(desk, 4)
    desk.at.answer = lambda _order: None
    await desk.wants(10, Decimal(155), run_id="orb|next")
    await watch(desk, 3)
    assert [one.trigger_price for one in desk.at.resting()] == [Decimal(155)]


@pytest.mark.parametrize("close", [Decimal(812), None])
async def test_gap_through_a_carried_stop_is_closed(close: Decimal | None) -> None:
    """A market that opens far below is no split: the last close says so, or nobody names one."""
    desk = await on_the_next_day(Decimal(700), close)
    await watch(desk, 8)
    assert await desk.states(Purpose.EXIT) == ["FILLED"]
    assert await desk.units() == 0
    assert len(await desk.engine.notices(StopHit)) == 1
