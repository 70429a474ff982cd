"""A clock that is set back by hours holds no exit and no alarm up until it is as late again (K01)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.protection import Unprotected
from core.domain.order import Purpose, Side
from core.domain.outcome import NotSent, Refusal, Refused, WriteOutcome
from core.domain.sessions import IST
from core.engine.orders.circuit import CircuitLimits
from core.engine.orders.executor import ExecutorSettings
from core.engine.orders.gaps import Gap, Gaps
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import market_clock

pytestmark = [pytest.mark.matrix("K01"), pytest.mark.row("R6")]
AN_HOUR = 3600.0
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and no stop."""
    desk = await a_desk(market_clock(NOON))
    await desk.holds(10)
    return desk


@pytest.mark.parametrize(
    "answer",
    [NotSent("no route"), Refused(Refusal.THROTTLED, "too many"), Refused(Refusal.REJECTED, "no")],
    ids=["not sent", "throttled", "refused"],
)
async def test_exit_that_came_to_nothing_is_tried_again(desk: Desk, answer: WriteOutcome) -> None:
    """Its pause is that of before, and it is not tried in every turn either."""
    desk.at.answer = lambda _order: answer
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(40, apart_s=1)
    before = len(desk.at.placed)
    desk.clock.step_wall(-AN_HOUR)
    await desk.turns(120, apart_s=1)
    assert 2 <= len(desk.at.placed) - before <= 125
    desk.at.answer = lambda _order: None
    await desk.turns(70, apart_s=1)
    assert await desk.units() == 0


async def test_exit_that_is_refused_is_not_sent_in_every_turn_after_it(desk: Desk) -> None:
    """A broker that refuses each counts the tries."""
    desk.at.answer = lambda _order: Refused(Refusal.REJECTED, "no")
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(100, apart_s=1)
    desk.clock.step_wall(-AN_HOUR)
    before = len(desk.at.placed)
    await desk.turns(120, apart_s=1)
    assert 2 <= len(desk.at.placed) - before <= 8


async def test_exit_that_rests_is_chased(desk: Desk) -> None:
    """Nobody knows for how long it has rested, so it is worked out anew."""
    desk.at.rests = True
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3, apart_s=1)
    (resting,) = desk.at.resting()
    desk.clock.step_wall(-AN_HOUR)
    desk.at.rests = False
    await desk.turns(30, apart_s=1)
    assert await desk.units() == 0
    assert resting not in desk.at.resting()


async def test_exit_that_has_just_left_rests_its_time(desk: Desk) -> None:
    """A correction of a second or two is none: it is cancelled no sooner for that."""
    desk.at.rests = True
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3)
    desk.clock.step_wall(-2)
    await desk.turns(3)
    assert len(desk.at.resting()) == 1
    assert len(await desk.orders(Purpose.EXIT)) == 1


async def test_stop_that_has_triggered_is_chased() -> None:
    """It works as an exit, and the price has left it behind."""
    desk = await a_desk(market_clock(NOON))
    await desk.holds(10, Decimal("800.00"))
    (stop,) = desk.at.resting()
    desk.at.put(stop.broker_order_id, is_triggered=True)
    await desk.turns(2)
    desk.clock.step_wall(-AN_HOUR)
    await desk.turns(30, apart_s=1)
    assert await desk.units() == 0


async def test_position_without_a_stop_is_told() -> None:
    """It was seen a moment before the clock was set back: nobody may wait an hour for the alarm."""
    desk = await a_desk(market_clock(NOON))
    await desk.holds(10)
    assert await desk.engine.notices(Unprotected) == []
    desk.clock.step_wall(-AN_HOUR)
    await desk.turns(5, apart_s=3)
    assert len(await desk.engine.notices(Unprotected)) == 1


@pytest.mark.matrix("B05")
async def test_cancel_that_was_refused_often_is_asked_for_again() -> None:
    """What the broker refused in the first hour it may take in the second, as ever."""
    desk = await a_desk(market_clock(NOON))
    await desk.holds(10, Decimal("800.00"))
    asked: list[float] = []

    async def refuse(*_: object) -> WriteOutcome:
        asked.append(desk.clock.monotonic())
        return Refused(Refusal.REJECTED, "not possible now")

    desk.at.cancel = refuse  # type: ignore[method-assign,assignment]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(20, apart_s=3)
    before = len(asked)
    desk.clock.step_wall(-AN_HOUR)
    await desk.clock.advance(ExecutorSettings().cancel_forget_s)
    await desk.turns(5, apart_s=3)
    assert len(asked) > before


async def test_price_that_stood_at_its_limit_is_asked_for_again(desk: Desk) -> None:
    """Away from it an exit that rests is chased, and not in an hour."""
    limits = CircuitLimits(desk.clock)
    (order,) = await desk.orders(Purpose.ENTRY)
    sold = replace(order, request=replace(order.request, side=Side.SELL))
    price = desk.at.price

    async def quotes(_names: object) -> dict[InstrumentId, Quote]:
        return {SBIN: Quote(SBIN, price, lower_circuit=Decimal("815.10"))}

    desk.at.quotes = quotes  # type: ignore[method-assign,assignment]
    assert await limits.keeps(desk.at, sold)
    desk.clock.step_wall(-AN_HOUR)
    await desk.clock.advance(16)
    price += 1
    assert not await limits.keeps(desk.at, sold)


@pytest.mark.row("R8")
def test_contradiction_is_certain_in_time() -> None:
    """Positions that disagree with fills are a question to a person in seconds, by any clock."""
    clock, gaps, gap = ManualClock(), Gaps(), Gap(10, 0)
    key = (SBIN, Product.MIS)
    assert not gaps.saw("a", key, gap, clock.now())
    clock.step_wall(-AN_HOUR)
    seen = [gaps.saw("a", key, gap, clock.now() + timedelta(seconds=4 * n)) for n in range(4)]
    assert seen == [False, False, True, True]
