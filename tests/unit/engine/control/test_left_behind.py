"""What a mode leaves behind: its answer names it, and a person can still cancel it (row C2)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.mode import TradingMode
from core.domain.order import Purpose
from core.domain.views import ModeChange
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("C2")
EXIT_ONLY, PAUSED = TradingMode.EXIT_ONLY, TradingMode.PAUSED


@pytest.fixture
async def desk() -> Desk:
    """Ten are held, and their stop rests."""
    desk = await a_desk()
    await desk.holds(10, Decimal("800.00"))
    return desk


async def set_mode(desk: Desk, mode: TradingMode, *, everywhere: bool = False) -> ModeChange:
    target = None if everywhere else desk.broker_id
    return await desk.engine.control.modes.set(desk.engine.command(), mode, target)


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_pause_names_orders_and_counts_positions(desk: Desk, *, everywhere: bool) -> None:
    """The stop that rests on, and the position that nobody looks after; of each account."""
    change = await set_mode(desk, PAUSED, everywhere=everywhere)
    assert [(one.purpose, one.quantity) for one in change.working] == [(Purpose.STOP, 10)]
    assert change.unprotected == 1
    assert [one.quantity for one in change.held] == [10]


async def test_exits_only_leaves_nothing_without_care(desk: Desk) -> None:
    """The strategy goes on with what it holds; what works is named all the same."""
    change = await set_mode(desk, EXIT_ONLY)
    assert [one.purpose for one in change.working] == [Purpose.STOP]
    assert (change.unprotected, change.held) == (0, ())


async def test_a_paused_account_cancels_and_is_read(desk: Desk) -> None:
    """A person's cancel goes out, and the next read shows its end; nothing takes its place."""
    change = await set_mode(desk, PAUSED)
    (stop,) = change.working
    await desk.engine.control.orders.cancel(desk.engine.command(), desk.broker_id, stop.key)
    await desk.turns(3)
    assert desk.at.resting() == []
    assert [one.status for one in desk.at.order_list.values()][-1] is BrokerStatus.CANCELED
    (after,) = await desk.orders(Purpose.STOP)
    assert after.leaves_quantity == 0
