"""The summary of a trading day: once, after the close, on days that had one (row E2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.bootstrap.control import day_summaries
from core.domain.broker import BrokerTrade
from core.domain.instrument import Product
from core.domain.notices.summary import DaySummary
from core.domain.order import Purpose, Side
from core.domain.sessions import IST
from core.engine.control.day_summaries import DaySummaries
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("E2")


def summaries(engine: MemoryEngine) -> DaySummaries:
    """Return what a start of the controller makes."""
    return day_summaries(engine.foundation, engine.wiring, engine.control.views)


async def at(desk: Desk, hour: int, minute: int) -> None:
    """Move market time within the day, and read the account."""
    now = desk.clock.market_now()
    wanted = datetime(now.year, now.month, now.day, hour, minute, tzinfo=IST)
    await desk.clock.advance((wanted - now).total_seconds())
    await desk.turns(2)


async def told(desk: Desk) -> list[DaySummary]:
    found = await desk.engine.notices(DaySummary)
    return [one for one in found if isinstance(one, DaySummary)]


async def test_a_day_is_told_once_after_its_close() -> None:
    """Not before, not by the next look, and not by a controller that was started again."""
    desk = await a_desk()
    at_ten = desk.clock.market_now()
    bought = BrokerTrade("1", "1", SBIN, Side.BUY, Product.MIS, 10, Decimal(810), at_ten)
    desk.at.trade_list = [bought]
    await desk.holds(10, Decimal(800))
    day = summaries(desk.engine)
    await at(desk, 15, 29)
    await day.tick()
    assert await told(desk) == []
    await at(desk, 15, 32)
    for one in (day, day, summaries(desk.engine)):
        await one.tick()
    (notice,) = await told(desk)
    assert notice.day == desk.clock.market_now().date().isoformat()
    assert (notice.broker_ids, notice.trades) == ((desk.broker_id,), (1,))
    assert notice.unrealised == (Decimal(50),) and notice.charges[0] > 0
    assert notice.opens_at is not None and notice.opens_at > desk.clock.market_now()
    await desk.clock.advance(7 * 3600)
    await summaries(desk.engine).tick()
    assert len(await told(desk)) == 1


async def test_a_day_without_trades_and_positions_is_not_told() -> None:
    """Nobody needs to read that nothing happened."""
    desk = await a_desk()
    await at(desk, 15, 32)
    await summaries(desk.engine).tick()
    assert await told(desk) == []


async def test_a_holiday_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a day without a session nothing is due, whatever is carried over it."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    calendar = desk.engine.foundation.calendar
    monkeypatch.setattr(calendar, "exit_session", lambda *_, **__: None)
    await at(desk, 15, 40)
    await summaries(desk.engine).tick()
    assert await told(desk) == []


async def test_who_does_not_want_it_is_not_told() -> None:
    """It is switched off and on again under the settings; any other word is refused."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    control = desk.engine.control
    assert (await control.settings.all())["day_summary"] == "on"
    await control.settings.set(desk.engine.command(), "day_summary", "Off")
    assert (await control.settings.all())["day_summary"] == "off"
    with pytest.raises(Exception, match="expected on or off"):
        await control.settings.set(desk.engine.command(), "day_summary", "never")
    await at(desk, 15, 32)
    await summaries(desk.engine).tick()
    assert await told(desk) == []
    await control.settings.set(desk.engine.command(), "day_summary", "on")
    assert (await control.settings.all())["day_summary"] == "on"
    await summaries(desk.engine).tick()
    assert len(await told(desk)) == 1


async def test_an_account_whose_login_has_ended_is_told_by_our_orders() -> None:
    """What it brought is known, and it is not waited for; one that cannot be read is, for a while."""
    desk = await a_desk()
    await desk.holds(10)
    await desk.wants(0, run_id="orb|out")
    await desk.turns(3)
    assert await desk.units() == 0 and await desk.orders(Purpose.EXIT)
    await at(desk, 15, 29)
    await desk.engine.wiring.tokens.mark_expired(desk.broker_id, "a test")
    desk.worker.snapshot.day = ""
    await desk.clock.advance(180)
    day = summaries(desk.engine)
    await day.tick()
    (notice,) = await told(desk)
    assert notice.by_orders == (desk.broker_id,)
    assert notice.booked == (Decimal("51.00"),)


async def test_an_account_that_was_not_read_since_the_close_is_waited_for() -> None:
    """For two minutes, not for ever."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    await at(desk, 15, 29)
    await desk.clock.advance(timedelta(minutes=3).total_seconds())
    day = summaries(desk.engine)
    await day.tick()
    assert await told(desk) == []
    await desk.clock.advance(120)
    await day.tick()
    (notice,) = await told(desk)
    assert notice.broker_ids == (desk.broker_id,)
    held = await desk.engine.control.views.held(desk.broker_id)
    assert [(one.instrument, one.product) for one in held] == [(SBIN, Product.MIS)]
