"""Exits that wait in PAUSED are named before a mode is set, and their results are told (row C2)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.order import Purpose, Side
from core.domain.views import ExitView, ModeChange
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk

NORMAL, EXIT_ONLY, PAUSED = TradingMode.NORMAL, TradingMode.EXIT_ONLY, TradingMode.PAUSED


async def a_paused_desk(wanted: int = 0) -> Desk:
    """Return a paused account whose strategy holds ten and wants fewer."""
    desk = await a_desk()
    await desk.holds(10)
    await set_mode(desk, PAUSED)
    await desk.wants(wanted, run_id="orb|later")
    await desk.turns(2)
    assert await desk.orders(Purpose.EXIT) == []
    return desk


async def set_mode(desk: Desk, mode: TradingMode, *, everywhere: bool = False) -> ModeChange:
    target = None if everywhere else desk.broker_id
    return await desk.engine.control.modes.set(desk.engine.command(), mode, target)


async def preview(desk: Desk, mode: TradingMode, *, everywhere: bool = False) -> list[ExitView]:
    target = None if everywhere else desk.broker_id
    return list(await desk.engine.control.modes.exits_to_come(mode, target))


@pytest.mark.row("C2")
@pytest.mark.parametrize("mode", [NORMAL, EXIT_ONLY])
async def test_a_waiting_exit_is_named_before_and_its_result_told_after(mode: TradingMode):
    """Before the change, in its answer, and as a message once the position is flat."""
    desk = await a_paused_desk()
    (named,) = await preview(desk, mode)
    assert (named.side, named.quantity, named.instrument) == (Side.SELL, 10, SBIN)
    change = await set_mode(desk, mode)
    assert change.exits == (named,)
    await desk.turns(3)
    assert await desk.units() == 0
    (told,) = await desk.engine.notices(PositionClosed)
    assert isinstance(told, PositionClosed)
    assert (told.closed_by, told.quantity, told.result) == (
        ClosedBy.AFTER_PAUSE,
        10,
        Decimal("51.00"),
    )


async def test_only_what_is_held_too_much_is_named():
    """A strategy that keeps four of ten closes six."""
    (named,) = await preview(await a_paused_desk(wanted=4), NORMAL)
    assert named.quantity == 6


async def test_what_stays_paused_sends_nothing_and_names_nothing():
    """The stricter of the two modes holds: one of them alone resumes nothing."""
    desk = await a_paused_desk()
    await set_mode(desk, PAUSED, everywhere=True)
    assert await preview(desk, NORMAL) == []
    assert (await set_mode(desk, NORMAL)).exits == ()
    (named,) = await preview(desk, NORMAL, everywhere=True)
    assert (await set_mode(desk, NORMAL, everywhere=True)).exits == (named,)


async def test_a_later_run_decides_anew_and_is_not_told():
    """Its exit is the strategy's own again, and stays on its card."""
    desk = await a_paused_desk()
    await set_mode(desk, NORMAL)
    await desk.wants(0, run_id="orb|next")
    await desk.turns(3)
    assert await desk.units() == 0
    assert await desk.engine.notices(PositionClosed) == []


async def test_an_account_that_was_not_paused_names_nothing():
    """Its exits do not wait."""
    desk = await a_desk()
    await desk.holds(10)
    await desk.wants(0, run_id="orb|later")
    assert await preview(desk, EXIT_ONLY) == []
    assert (await set_mode(desk, EXIT_ONLY)).exits == ()
