"""A close of a strategy's delivery shares leaves the user's own holdings of them alone (C3, E4)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from core.domain.broker import Holding, Position
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.errors import UserError
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk

pytestmark = pytest.mark.row("C3", "E4")
PRICE = Decimal(815)


async def carried(units: int, holdings: int, *, row: int = 0) -> Desk:
    """Return an account whose strategy carries units that the broker holds among others.

    Args:
        units: The strategy's.
        holdings: All of them in the broker's list of holdings.
        row: Units in its list of positions.
    """
    desk = await a_desk()
    desk.product = Product.CNC
    await desk.engine.hold(Ledger(STRATEGY, desk.broker_id, SBIN, Product.CNC, units, Decimal(810)))
    names = frozenset({SBIN})
    desk.at.holding_list = [Holding(SBIN, holdings, 0, PRICE, PRICE, names=names)]
    if row:
        key = (SBIN, Product.CNC)
        desk.at.position_list[key] = Position(*key, row, PRICE, PRICE, day_buy_quantity=row)
    await desk.wants(units)
    await desk.turns(3)
    return desk


async def close(desk: Desk) -> list[tuple[str, int]]:
    """Close the position as the user does, and return what was sent."""
    task = asyncio.create_task(desk.worker.run())
    try:
        await desk.engine.control.orders.close(
            desk.engine.command(), desk.broker_id, f"{SBIN}|CNC", despite_pause=False
        )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [(one.side.value, one.quantity) for one in desk.at.placed]


@pytest.mark.parametrize("own", [0, 10])
async def test_close_sells_what_the_strategy_carries(own: int) -> None:
    """Ten shares of the user's own lie beside the five: the question named five."""
    desk = await carried(5, 5 + own)
    assert await close(desk) == [("SELL", 5)]


async def test_close_sells_what_the_row_shows_beyond_the_strategys() -> None:
    """Three more were bought by hand today and are in the row: they are closed with it."""
    desk = await carried(5, 10, row=8)
    assert sorted(await close(desk)) == [("SELL", 3), ("SELL", 5)]


@pytest.mark.row("R3")
async def test_share_on_margin_is_closed_in_the_brokers_app() -> None:
    """MTF is no product of ours: a sale of another one would open a short beside it."""
    desk = await a_desk()
    key = (SBIN, Product.NRML)
    desk.at.position_list[key] = Position(*key, 4, PRICE, PRICE, day_buy_quantity=4)
    desk.product = Product.NRML
    await desk.turns(3)
    with pytest.raises(UserError, match="Saarthi sends no order of that product"):
        await desk.engine.control.orders.close(
            desk.engine.command(), desk.broker_id, f"{SBIN}|NRML", despite_pause=False
        )
    await desk.turns(3)
    assert desk.at.placed == []
