"""Stops that follow their positions between the runs: moved at a look, kept by the next run."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.domain.stop_rule import StopRule
from core.domain.target import Direction, Target
from core.engine.orders.goals import put_goal
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.guarded import look
from tests.fakes.run_bench import TEN, RunBench

pytestmark = [pytest.mark.row("R5", "R7")]
RULE = StopRule(Decimal(1), Decimal(2))
STOP = Decimal(790)


@pytest.fixture
async def desk() -> Desk:
    """10 SBIN bought at 810, with a stop at 790 that goes to cost at 1 % and trails at 2 %."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    await follows(desk, RULE)
    await desk.clock.advance(15)
    return desk


async def follows(desk: Desk, rule: StopRule) -> None:
    await put_goal(
        desk.engine.store,
        strategy=STRATEGY,
        broker_id=desk.broker_id,
        instrument=SBIN,
        product=desk.product,
        quantity=10,
        stop_price=STOP,
        run_id="orb|run",
        day=trading_day(desk.clock.market_now()),
        at=desk.clock.now(),
        stop_rule=rule,
    )


def refusing_stops(order: OrderRequest) -> WriteOutcome | None:
    if order.order_type is OrderType.SL_M:
        return Refused(Refusal.REJECTED, "SL-M is not allowed for this instrument")
    return None


def resting(desk: Desk) -> Decimal | None:
    (stop,) = [one for one in desk.at.resting() if one.order_type is OrderType.SL_M]
    return stop.trigger_price


async def test_stop_goes_to_cost_and_then_trails(desk: Desk) -> None:
    """Each time the order at the broker is moved, and no second one is placed."""
    await look(desk, "818", 4)
    await desk.turns(2)
    assert resting(desk) == Decimal("801.60")
    await look(desk, "818.10", 8)
    await desk.turns(2)
    assert resting(desk) == 810
    await look(desk, "840", 8)
    await desk.turns(2)
    assert resting(desk) == Decimal("823.20")
    await look(desk, "825", 8)
    await desk.turns(2)
    assert resting(desk) == Decimal("823.20")
    assert len(await desk.orders(Purpose.STOP)) == 1


async def test_one_wrong_price_moves_no_stop(desk: Desk) -> None:
    """Only what two looks agree on."""
    await look(desk, "815", 12)
    before = (await desk.goal()).stop_price
    await look(desk, "900", 2)  # resting stops are looked at every six seconds
    await look(desk, "815", 4)
    await desk.turns(2)
    assert (await desk.goal()).stop_price == before


async def test_wrong_price_that_stays_while_no_newer_one_comes_is_one_look(desk: Desk) -> None:
    """A source that fails leaves the last price: seen again, it proves nothing more."""
    await look(desk, "815", 4)
    before = (await desk.goal()).stop_price
    await look(desk, "900", 2)
    desk.engine.wiring.price_watch._market_data.sources = _no_sources  # type: ignore[method-assign]
    await look(desk, times=3)
    assert (await desk.goal()).stop_price == before


async def test_price_of_an_earlier_position_is_no_look(desk: Desk) -> None:
    """After a pause the first price alone moves nothing, however high the last one was."""
    await look(desk, "815", 4)
    sources = desk.engine.wiring.price_watch._market_data.sources
    desk.engine.wiring.price_watch._market_data.sources = _no_sources  # type: ignore[method-assign]
    desk.engine.wiring.prices.put(SBIN, Decimal(900), desk.clock.now())
    await look(desk, times=20)
    desk.engine.wiring.price_watch._market_data.sources = sources  # type: ignore[method-assign]
    before = (await desk.goal()).stop_price
    await look(desk, "950", 2)
    assert (await desk.goal()).stop_price == before


async def _no_sources() -> tuple[()]:
    return ()


async def test_it_moves_at_most_every_fifteen_seconds(desk: Desk) -> None:
    """However fast the price runs: the order rate is for exits."""
    began, seen = desk.clock.monotonic(), set[Decimal | None]()
    for price in range(840, 900, 2):
        await look(desk, str(price))
        seen.add(resting(desk))
    passed = desk.clock.monotonic() - began
    assert 3 <= len(seen) - 1 <= passed / 15 + 1


async def test_clock_that_is_set_back_does_not_hold_a_stop_where_it_is(desk: Desk) -> None:
    """When it was set last lies ahead then, and says nothing of how long ago that is."""
    await look(desk, "840", 8)
    desk.clock.step_wall(-1800)
    await look(desk, "860", 8)
    await desk.turns(2)
    assert resting(desk) == Decimal("842.80")


async def test_stop_that_a_person_has_moved_is_left_alone(desk: Desk) -> None:
    """Theirs is kept for the day (R7)."""
    (stop,) = desk.at.resting()
    desk.at.put(stop.broker_order_id, trigger_price=Decimal(800))
    await desk.turns(2)
    await look(desk, "850", 10)
    await desk.turns(2)
    assert resting(desk) == 800


async def test_refused_stop_follows_in_software_without_being_placed_again() -> None:
    """What the broker refused is not asked for at each step."""
    other = await a_desk()
    other.at.answer = refusing_stops
    await other.holds(10, STOP)
    rule = {"to_cost_at": None, "trail_by": Decimal(2)}
    await other.engine.store.update("goals", {"_id": other.key}, Change(set={"stop_rule": rule}))
    tried = len(other.at.placed)
    await look(other, "850", 12)
    assert (await other.goal()).stop_price == Decimal(833)
    assert len(other.at.placed) == tried
    await look(other, "832", 2)
    await other.turns(4)
    assert await other.units() == 0


async def test_next_run_does_not_take_a_moved_stop_back() -> None:
    """The strategy's own stop is further away: the nearer one stays."""
    bench = await RunBench().opened()
    target = Target(
        SBIN, Direction.LONG, TEN, Decimal(780), "told so", StopRule(trail_by=Decimal(2))
    )
    bench.strategy.wanted = [target]
    await bench.run()
    await bench.turns()
    store = bench.engine.store
    await store.update("goals", {}, Change(set={"stop_price": Decimal(800)}))
    await bench.engine.clock.advance(60)
    bench.strategy.wanted = [target]
    await bench.run()
    (row,) = await store.find("goals", {})
    assert (row["stop_price"], row["stop_rule"]["trail_by"]) == (800, 2)
    bench.strategy.want(Direction.FLAT, TEN + timedelta(minutes=2))
    await bench.engine.clock.advance(60)
    await bench.run()
    (row,) = await store.find("goals", {})
    assert (row["quantity"], row["stop_price"], row["stop_rule"]) == (0, None, None)
