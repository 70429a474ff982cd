"""A broker that asks to slow down (429) is asked again after its delay, and not before (N09)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from core.domain.order import Purpose
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.target import Direction
from core.engine.orders.goals import retarget_goal
from core.ports.clock import Clock
from tests.fakes.desk import Desk, a_desk
from tests.fakes.run_bench import RunBench
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.matrix("N09")
STOP = Decimal("800.00")
DELAY_S = 6.0


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    assert [one.quantity for one in desk.at.resting()] == [10]
    return desk


class Slow:
    """Answers the first request of one kind with a 429, and notes when each came, and with what."""

    def __init__(self, broker: ScriptedAccount, name: str, clock: Clock) -> None:
        self._call: Callable[..., Awaitable[WriteOutcome]] = getattr(broker, name)
        self._clock = clock
        self.came: list[float] = []
        self.asked: list[tuple[object, ...]] = []
        setattr(broker, name, self._answer)

    async def _answer(self, *terms: object) -> WriteOutcome:
        self.came.append(self._clock.monotonic())
        self.asked.append(terms)
        if len(self.came) == 1:
            return Refused(Refusal.THROTTLED, "slow down", retry_after_s=DELAY_S)
        return await self._call(*terms)

    def assert_asked_once_more(self) -> None:
        """It was asked again when the delay was over, and then no more."""
        first, second = self.came
        assert DELAY_S <= second - first < DELAY_S + 2


async def test_entry_goes_again_under_its_id() -> None:
    """It was provably not placed, so the very same order goes when the delay is over."""
    bench = await RunBench().opened()
    slow = Slow(bench.broker, "place", bench.engine.clock)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    for _ in range(40):
        await bench.turns(1)
        await bench.engine.clock.advance(0.5)
    slow.assert_asked_once_more()
    assert slow.asked[0] == slow.asked[1]
    assert await bench.held() == 10


async def test_exit_is_worked_out_anew_after_the_delay(desk: Desk) -> None:
    """What is held may have changed by then: another order goes, no sooner than the broker wants."""
    slow = Slow(desk.at, "place", desk.clock)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(40, apart_s=0.5)
    slow.assert_asked_once_more()
    assert await desk.states(Purpose.EXIT) == ["DENIED", "FILLED"]
    assert await desk.units() == 0


async def test_cancel_waits_for_the_delay(desk: Desk) -> None:
    """The stop in the way of an exit rests on meanwhile, and is not asked to go at every turn."""
    slow = Slow(desk.at, "cancel", desk.clock)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(8, apart_s=0.5)
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    await desk.turns(30, apart_s=0.5)
    slow.assert_asked_once_more()
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_change_of_a_stop_waits_for_the_delay(desk: Desk) -> None:
    """It rests where it was, and is moved when the delay is over."""
    slow = Slow(desk.at, "modify", desk.clock)
    day, at = (await desk.goal()).day, desk.clock.now()
    await retarget_goal(desk.engine.store, desk.key, stop_price=Decimal(805), day=day, at=at)
    await desk.turns(40, apart_s=0.5)
    slow.assert_asked_once_more()
    assert [one.trigger_price for one in desk.at.resting()] == [Decimal(805)]
