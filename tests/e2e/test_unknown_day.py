"""A weekday that the calendar does not know: nothing is entered, what is held is looked after (K04).

The made-up day is known until the position stands; then the engine starts again with a calendar
from which that year is gone, as the real one is on the first trading day after its end.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from core.adapters.calendar import TradingCalendar, _data
from core.domain.account import Account
from core.domain.order import OrderState, Purpose
from core.domain.target import Direction
from tests.fakes.lockstep import Rig
from tests.fakes.scripted import DAY, Opened, Scripted, at, kite

pytestmark = [
    pytest.mark.dates,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.matrix("K04"),
    pytest.mark.row("D2"),
]

LONG, FLAT = Direction.LONG, Direction.FLAT
NOT_KNOWN = "the calendar does not know this day: no entry is sent"


async def forget_the_year(engine: Rig) -> None:
    """Start the engine again with a calendar that ended before the day."""
    data = _data.load()
    year = int(DAY[:4])
    years = {key: value for key, value in data.years.items() if key[1] != year}
    calendar = TradingCalendar(replace(data, years=years))
    engine.foundation = replace(engine.foundation, calendar=calendar)
    await engine.restart()


async def orders_of(engine: Rig, account: Account, purpose: Purpose) -> list[OrderState]:
    return [order.state for order in await engine.orders(account) if order.purpose is purpose]


async def stop_prices(engine: Rig, account: Account) -> list[Decimal | None]:
    orders = await engine.orders(account)
    resting = [o for o in orders if o.purpose is Purpose.STOP and o.state is OrderState.ACCEPTED]
    return [order.request.trigger_price for order in resting]


async def test_nothing_is_entered_on_an_unknown_day(opened: Opened) -> None:
    """Neither at a slot nor when a user runs it; the run says why."""
    async with opened(Scripted("calm", {"09:30": LONG})) as engine:
        account = await kite(engine)
        await forget_the_year(engine)
        await engine.minute(at("09:30"))
        run_id = await engine.system.control.runs.file(engine.command(), "calm")
        async with asyncio.timeout(150):
            while await engine.system.run_requests.result(run_id) is None:
                await asyncio.sleep(0.02)
        await engine.settle()
        assert engine.writes(account) == []
        for run in ("calm|2021-05-12T09:30", run_id):
            (line,) = (await engine.system.control.views.run(run)).lines
            assert line.note == NOT_KNOWN


async def test_exits_and_stops_go_on_on_an_unknown_day(opened: Opened) -> None:
    """A slot moves the stop and closes the position, in the regular hours; nothing is entered."""
    script = {"09:30": LONG, "09:40": LONG, "09:50": FLAT, "10:00": LONG}
    strategy = Scripted("calm", script, stop={LONG: Decimal("300.00")})
    async with opened(strategy) as engine:
        account = await kite(engine)
        await engine.minute(at("09:30"))
        assert await orders_of(engine, account, Purpose.STOP) == [OrderState.ACCEPTED]
        await forget_the_year(engine)
        strategy._stops = {LONG: Decimal("310.00")}
        await engine.minute(at("09:40"))
        engine.system.hint(account.broker_id)
        async with asyncio.timeout(150):
            while await stop_prices(engine, account) != [Decimal("310.00")]:
                await asyncio.sleep(0.02)
        await engine.minute(at("09:50"))
        assert await engine.held(account) == {}
        await engine.minute(at("10:00"))
        assert await engine.held(account) == {}
        assert await orders_of(engine, account, Purpose.ENTRY) == [OrderState.FILLED]
        assert await engine.runs("calm") == ["09:30", "09:40", "09:50", "10:00"]


@pytest.mark.row("D7")
async def test_position_is_squared_off_on_an_unknown_day(opened: Opened) -> None:
    """At 15:00, as on every day; what cannot be closed is an alarm at 15:10."""
    async with opened(Scripted("calm", {"14:50": LONG})) as engine:
        account = await kite(engine, quantity=10)
        await engine.minute(at("14:50"))
        await forget_the_year(engine)
        await engine.minute(at("14:59"))
        assert await engine.held(account) == {"calm SBIN": 10}
        order = {"method": "POST", "path": "/orders/regular"}
        fault = engine.sandbox.fault("no_fill", match=order, times=0)
        engine.step(at("15:10"))
        await engine.system.scheduler.tick()
        (alarm,) = await engine.notices("square_off_alarm")
        assert alarm["positions"] == ["NSE:SBIN +10"]
        engine.sandbox.ask("DELETE", f"/faults/{fault}")
        engine.clock.elapse(60)
        await engine.minute(at("15:11"))
        assert await engine.held(account) == {}


async def test_unknown_day_is_said_once(opened: Opened) -> None:
    """One notice with the hours in which exits go on, also over a restart; health says the same."""
    async with opened(Scripted("calm", {})) as engine:
        await engine.system.calendar_watch.tick()
        assert await engine.notices("day_unknown") == []
        await forget_the_year(engine)
        for _ in range(2):
            await engine.system.calendar_watch.tick()
        await engine.restart()
        await engine.system.calendar_watch.tick()
        (said,) = await engine.notices("day_unknown")
        assert (said["day"], said["exit_hours"]) == (DAY, "09:15 to 15:30")
        health = await engine.system.control.health.read()
        assert health.session_note == (
            "the calendar does not know this day: no entries, exits from 09:15 to 15:30"
        )
