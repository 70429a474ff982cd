"""A stop does not make way for an exit while the broker's orders cannot be read (R6, B09)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from core.domain.broker import BrokerOrder
from core.domain.notices.protection import ExitDenied, Unprotected
from core.domain.order import Purpose
from core.errors import BrokerReadError, ReadFault
from tests.fakes.desk import Desk, a_desk

pytestmark = [pytest.mark.row("R6"), pytest.mark.matrix("B09")]
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    return desk


class Unread:
    """Has no read of the orders succeed until it is over."""

    def __init__(self, desk: Desk, times: int = 10_000) -> None:
        self._read = desk.at.orders
        self.left = times
        desk.at.orders = self._fail  # type: ignore[method-assign]

    async def _fail(self) -> Sequence[BrokerOrder]:
        if self.left:
            self.left -= 1
            raise BrokerReadError(ReadFault.UNREACHABLE, "503")
        return await self._read()


async def test_stop_stays_while_nobody_could_see_that_it_is_gone(desk: Desk) -> None:
    """For minutes, if need be: it is said once with the reason, and the exit goes when they show."""
    unread = Unread(desk)
    await desk.turns(2, apart_s=3)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(40, apart_s=3)
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    (told,) = await desk.engine.notices(ExitDenied)
    assert isinstance(told, ExitDenied)
    assert (told.has_stop, "orders cannot be read" in told.reason) == (True, True)
    assert await desk.engine.notices(Unprotected) == []
    unread.left = 0
    await desk.turns(5, apart_s=3)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    assert await desk.states(Purpose.EXIT) == ["FILLED"]


async def test_one_failed_read_costs_an_exit_a_turn(desk: Desk) -> None:
    """It is no outage, so nothing is said."""
    Unread(desk, times=1)
    await desk.turns(1, apart_s=3)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3, apart_s=1)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    assert await desk.engine.notices(ExitDenied) == []


async def test_exit_that_no_stop_stands_before_needs_no_orders() -> None:
    """What is held and the orders as they were bound it: it goes at once."""
    desk = await a_desk()
    await desk.holds(10)
    Unread(desk)
    await desk.turns(2, apart_s=3)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(2, apart_s=3)
    assert [(one.side.value, one.quantity) for one in desk.at.placed] == [("SELL", 10)]
