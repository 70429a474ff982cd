"""A position that becomes unprotected is told once, and once when that is over (R6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import BrokerStatus
from core.domain.instrument import Product
from core.domain.notices.protection import ProtectedAgain, StopHit, Unprotected
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R6")
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    return await a_desk()


async def told(desk: Desk) -> list[str]:
    found = await desk.engine.notices(Unprotected, ProtectedAgain)
    return [type(one).__name__ for one in found]


def refusing_stops(order: OrderRequest) -> WriteOutcome | None:
    if order.order_type is OrderType.SL_M:
        return Refused(Refusal.REJECTED, "SL-M is not allowed for this instrument")
    return None


async def test_hand_over_from_a_fill_to_its_stop_is_no_news(desk: Desk) -> None:
    """A stop that follows within seconds is told to nobody."""
    await desk.holds(10, STOP)
    await desk.turns(10, apart_s=3)
    assert await told(desk) == []


async def test_strategy_without_stops_is_told_once(desk: Desk) -> None:
    """For each position once, and shown with it for as long as it lasts."""
    await desk.holds(10)
    await desk.turns(10, apart_s=3)
    assert await told(desk) == ["Unprotected"]
    (position,) = await desk.engine.control.views.positions(desk.broker_id)
    assert position.warnings == ("unprotected: its strategy sets no stop",)


@pytest.mark.row("D9")
async def test_software_stop_without_prices_is_told_and_its_end_too(desk: Desk) -> None:
    """Nobody gives prices: unprotected after some seconds; prices come back: protected again."""
    desk.at.answer = refusing_stops
    await desk.holds(10, STOP)
    for _ in range(5):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    assert await told(desk) == []
    quotes = desk.at.quotes

    async def no_quotes(_instruments: object) -> object:
        raise BrokerReadError(ReadFault.UNREACHABLE, "503")

    desk.at.quotes = no_quotes  # type: ignore[assignment,method-assign]
    for _ in range(12):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    assert await told(desk) == ["Unprotected"]
    (notice,) = await desk.engine.notices(Unprotected)
    assert isinstance(notice, Unprotected) and "s old" in notice.why
    desk.at.quotes = quotes  # type: ignore[method-assign]
    for _ in range(8):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    assert await told(desk) == ["Unprotected", "ProtectedAgain"]


async def test_restart_repeats_nothing(desk: Desk) -> None:
    """What was told is in the store: another controller's guards say it no second time."""
    await desk.holds(10)
    await desk.turns(5, apart_s=3)
    desk.worker = desk.engine.wiring.new_worker(desk.broker_id)
    await desk.turns(5, apart_s=3)
    assert await told(desk) == ["Unprotected"]


async def test_gap_that_opens_and_closes_is_no_storm(desk: Desk) -> None:
    """A stop that the broker cancels and takes again is told no more than once in ten minutes."""
    await desk.holds(10, STOP)
    desk.at.answer = refusing_stops
    for one in desk.at.resting():
        desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED)
    for _ in range(8):
        await desk.turns(2, apart_s=7)  # no prices at all
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(6, apart_s=3)
    assert (await told(desk)).count("Unprotected") == 1


async def test_position_that_is_closed_ends_it_without_a_word(desk: Desk) -> None:
    """Its card says what closed it."""
    await desk.holds(10)
    await desk.turns(5, apart_s=3)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(10)
    assert await desk.units() == 0
    await desk.turns(5, apart_s=5)
    assert await told(desk) == ["Unprotected"]


async def test_end_of_the_session_does_not_protect(desk: Desk) -> None:
    """What was told as unprotected is not told as protected when the market closes."""
    await desk.holds(10, STOP)
    desk.at.answer = lambda _order: Refused(Refusal.REJECTED, "the account is blocked")
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(10, apart_s=3)
    await desk.clock.advance(7 * 3600)
    await desk.turns(10, apart_s=3)
    (position,) = await desk.engine.control.views.positions(desk.broker_id)
    assert "the market is closed" in position.warnings[0]
    assert await told(desk) == ["Unprotected"]


async def test_cancel_that_is_never_confirmed_is_told(desk: Desk) -> None:
    """The day's orders cannot be read after the cancel of a stop for its exit: told after seconds."""
    await desk.holds(10, STOP)
    cancel = desk.at.cancel

    async def unreadable() -> object:
        raise BrokerReadError(ReadFault.UNREACHABLE, "503")

    async def cancel_and_lose(broker_order_id: str) -> WriteOutcome:
        desk.at.orders = unreadable  # type: ignore[assignment,method-assign]
        return await cancel(broker_order_id)

    desk.at.cancel = cancel_and_lose  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3)
    assert await told(desk) == []
    await desk.turns(10, apart_s=1)
    assert await told(desk) == ["Unprotected"]


async def test_share_whose_trading_has_ended_is_not_alarmed(desk: Desk) -> None:
    """A share with derivatives stops at 15:15: its stop goes out tomorrow, nobody can act now."""
    table = desk.engine.wiring.masters.known(ZERODHA)
    assert isinstance(table, dict)
    desk.product = Product.NRML
    await desk.holds(10, STOP)
    table[SBIN] = replace(table[SBIN], has_derivatives=True)
    for one in desk.at.resting():
        desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED)
    close = datetime(2026, 11, 23, 15, 15, tzinfo=IST)
    await desk.clock.advance_to(close)
    desk.at.price = STOP - 1
    for _ in range(10):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    assert await told(desk) == []
    assert await desk.engine.notices(StopHit) == []
