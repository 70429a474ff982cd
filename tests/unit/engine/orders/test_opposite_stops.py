"""Strategies on opposite sides, a resting stop of one, and units of the user's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.instrument import Product
from core.domain.order import MANUAL, OrderType, Side
from core.engine.orders.goals import goals_of
from core.errors import UserError
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.held import hold, want

pytestmark = pytest.mark.row("E4", "D3", "C3")
KEY = (SBIN, Product.MIS)


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[None]:
    """Let the worker take its turns."""
    task = asyncio.create_task(desk.worker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def opposite(outside: int, *, stop: str | None = "790", short: int = -10) -> Desk:
    """Return an account with +10 and a stop, a short, and some units that are the user's own."""
    desk = await a_desk()
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    for strategy, units, price in (("orb", 10, stop), ("fade", short, None)):
        ledger = await hold(desk.engine, account, units, strategy=strategy)
        await want(desk.engine, ledger, units, stop_price=Decimal(price) if price else None)
    if outside:
        desk.at.by_hand(Side.of(outside), abs(outside))
    await desk.turns(4)
    assert desk.at.position_list[KEY].quantity == 10 + short + outside
    resting = [one.quantity for one in desk.at.resting()]
    assert resting == ([10] if stop else [])
    return desk


async def close(desk: Desk, *, only_outside: bool) -> None:
    await desk.engine.control.orders.close(
        desk.engine.command(),
        desk.broker_id,
        "NSE:SBIN|MIS",
        despite_pause=False,
        only_outside=only_outside,
    )


def sent(desk: Desk) -> list[tuple[str, int]]:
    """Return what was sent at the market."""
    return [
        (one.side.value, one.quantity)
        for one in desk.at.placed
        if one.order_type is OrderType.MARKET
    ]


async def test_what_is_outside_is_closed_beside_another_strategys_stop() -> None:
    """+10 with its stop, -10, and +5 of the user's own: 5 are sold, ledgers and stop stay."""
    desk = await opposite(5)
    async with working(desk):
        await close(desk, only_outside=True)
    await desk.turns(3)
    assert sent(desk) == [("SELL", 5)]
    assert sorted(one.quantity for one in await desk.engine.ledgers()) == [-10, 10]
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert [one for one in await goals_of(desk.engine.store, desk.broker_id) if one.to_close] == []


async def test_close_never_takes_a_strategys_units_for_the_users() -> None:
    """The user sold their own by hand meanwhile: the close ends and sells nothing of a strategy."""
    desk = await opposite(5, short=-3)
    desk.at.is_slow = True
    async with working(desk):
        await close(desk, only_outside=True)
    (exit_,) = [one for one in desk.at.resting() if one.order_type is OrderType.MARKET]
    await desk.at.cancel(exit_.broker_order_id)
    desk.at.is_slow = False
    desk.at.by_hand(Side.SELL, 5)
    for _ in range(6):
        await desk.turns(2)
        await desk.clock.advance(6)
    assert sent(desk) == [("SELL", 5)]
    assert desk.at.position_list[KEY].quantity == 7
    goals = await goals_of(desk.engine.store, desk.broker_id)
    assert [one for one in goals if one.strategy == MANUAL] == []


async def test_close_goes_on_while_a_stops_fill_is_not_read() -> None:
    """A stop has filled and the orders do not show it yet: the close is denied, not done."""
    desk = await opposite(5, short=3)
    (stop,) = desk.at.resting()
    desk.at.is_slow = True
    async with working(desk):
        await close(desk, only_outside=True)
    (exit_,) = [one for one in desk.at.resting() if one.order_type is OrderType.MARKET]
    await desk.at.cancel(exit_.broker_order_id)
    await desk.worker.refresh()
    # The positions show the stop's fill at once, the orders with the next read.
    shown = desk.at.position_list[KEY]
    desk.at.position_list[KEY] = replace(shown, quantity=shown.quantity - 10)
    await desk.clock.advance(6)
    await desk.worker.executor.advance(desk.at, {})
    goals = await goals_of(desk.engine.store, desk.broker_id)
    assert [one.to_close for one in goals if one.strategy == MANUAL] == [5]
    desk.at.position_list[KEY] = shown
    desk.at.fill(stop.broker_order_id)
    desk.at.is_slow = False
    for _ in range(4):
        await desk.turns(3)
        await desk.clock.advance(6)
    assert desk.at.position_list[KEY].quantity == 3
    assert [one.quantity for one in await desk.engine.ledgers() if one.quantity] == [3]


async def test_all_of_it_closes_beside_a_stop() -> None:
    """Close of everything: both strategies and the user's own are flat, nothing rests."""
    desk = await opposite(5)
    async with working(desk):
        closing = asyncio.create_task(close(desk, only_outside=False))
        while not closing.done():
            await desk.clock.advance(0.5)
            desk.worker.wake()
            await asyncio.sleep(0)
        await closing
    for _ in range(4):
        await desk.turns(3)
        await desk.clock.advance(6)
    assert desk.at.position_list[KEY].quantity == 0
    assert [one.quantity for one in await desk.engine.ledgers() if one.quantity] == []
    assert desk.at.resting() == []


async def test_close_of_opposite_strategies_says_that_no_order_was_needed() -> None:
    """+10 and -10: they are closed against one another, which is not "flat already"."""
    desk = await opposite(0, stop=None)
    async with working(desk):
        with pytest.raises(UserError, match="closed against one another"):
            await close(desk, only_outside=False)
    assert sent(desk) == []
    assert [one.quantity for one in await desk.engine.ledgers() if one.quantity] == []
