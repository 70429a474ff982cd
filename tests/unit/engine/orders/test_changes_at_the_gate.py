"""What moves a resting order passes the gate as well: the mode, and who holds the lease (C4, I10)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.mode import TradingMode
from core.domain.order import Order, Purpose
from core.engine.orders.gate import raise_fence
from core.errors import Denied, LeaseLost
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("C4")
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    """Ten are held, and their stop rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    return desk


async def the_stop(desk: Desk) -> Order:
    (stop,) = await desk.orders(Purpose.STOP)
    return stop


def rests_at(desk: Desk) -> list[Decimal | None]:
    return [one.trigger_price for one in desk.at.resting()]


async def test_in_a_pause_no_stop_is_moved(desk: Desk) -> None:
    """Though the change was decided before it: the stop stays where it is."""
    stop = await the_stop(desk)
    moved = replace(stop, request=replace(stop.request, trigger_price=STOP + 5))
    control = desk.engine.control
    await control.modes.set(desk.engine.command(), TradingMode.PAUSED, desk.broker_id)
    with pytest.raises(Denied, match="paused"):
        await desk.engine.wiring.gateway.resize(desk.at, stop, moved)
    assert rests_at(desk) == [STOP]
    assert (await the_stop(desk)).state is stop.state


@pytest.mark.invariant("I10")
async def test_who_has_lost_the_lease_neither_cancels_nor_moves(desk: Desk) -> None:
    """Another controller has taken over: the stop is its own to look after."""
    stop = await the_stop(desk)
    moved = replace(stop, request=replace(stop.request, trigger_price=STOP + 5))
    gateway = desk.engine.wiring.gateway
    await raise_fence(desk.engine.store, 99)
    with pytest.raises(LeaseLost):
        await gateway.cancel(desk.at, stop, "of no use")
    with pytest.raises(LeaseLost):
        await gateway.resize(desk.at, stop, moved)
    assert rests_at(desk) == [STOP]
