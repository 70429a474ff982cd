"""An exit that was decided on an earlier day stays decided over night (NRML, CNC)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.target import Direction
from core.engine.orders.goals import UserClose, goal_at
from tests.fakes.brokers import SBIN
from tests.fakes.held import hold, want
from tests.fakes.run_bench import TEN, RunBench

pytestmark = pytest.mark.row("D3", "R3")
YESTERDAY = "2026-11-20"
OLD = TEN - timedelta(days=3)


async def carried(
    wanted: int, *, close: UserClose | None = None, product: Product = Product.NRML
) -> tuple[RunBench, Ledger]:
    """Return an account that carried ten over night, and what was wanted of them yesterday."""
    bench = await RunBench().opened()
    await bench.assign(product=product)
    ledger = await hold(
        bench.engine, bench.account, 10, product=product, strategy=bench.strategy.name
    )
    await want(bench.engine, ledger, wanted, run_id="yesterday", day=YESTERDAY, close=close)
    return bench, ledger


async def goal_of(bench: RunBench, ledger: Ledger) -> Goal:
    goal = await goal_at(bench.engine.store, ledger.key)
    assert goal is not None
    return goal


@pytest.mark.parametrize("product", [Product.NRML, Product.CNC])
async def test_an_old_signal_does_not_take_an_exit_of_yesterday_back(product: Product) -> None:
    """The strategy repeats the signal that the position was entered on: the exit goes all the same."""
    bench, ledger = await carried(0, product=product)
    bench.strategy.want(Direction.LONG, OLD)
    await bench.run()
    assert (await goal_of(bench, ledger)).quantity == 0
    await bench.engine.clock.advance(30)
    await bench.run()
    assert (await goal_of(bench, ledger)).quantity == 0


async def test_a_users_close_of_yesterday_stays_the_users() -> None:
    """Decided in PAUSED, not through by the evening: the morning's run leaves it as confirmed."""
    bench, ledger = await carried(0, close=UserClose(despite_pause=True))
    before = await goal_of(bench, ledger)
    for direction in (Direction.LONG, Direction.FLAT):
        bench.strategy.want(direction, OLD)
        await bench.run()
        assert await goal_of(bench, ledger) == before


async def test_a_new_signal_takes_it_back() -> None:
    """As on the day itself: a fresh signal keeps what is held, unless no entry would be allowed."""
    bench, ledger = await carried(0)
    bench.strategy.want(Direction.LONG, TEN)
    await bench.engine.control.modes.set(
        bench.engine.command(), TradingMode.EXIT_ONLY, bench.account.broker_id
    )
    await bench.run()
    assert (await goal_of(bench, ledger)).quantity == 0
    await bench.engine.control.modes.set(
        bench.engine.command(), TradingMode.NORMAL, bench.account.broker_id
    )
    await bench.engine.clock.advance(30)
    await bench.run()
    assert (await goal_of(bench, ledger)).quantity == 10


async def test_what_was_wanted_yesterday_is_carried_on() -> None:
    """No exit was decided: the old signal keeps the position, with the stop of today."""
    bench, ledger = await carried(10)
    bench.strategy.want(Direction.LONG, OLD, stop=Decimal(800))
    await bench.run()
    goal = await goal_of(bench, ledger)
    assert (goal.quantity, goal.stop_price) == (10, Decimal(800))


async def test_a_goal_of_yesterday_without_units_keeps_nobody_from_entering() -> None:
    """The exit was through yesterday: today's signal enters."""
    bench = await RunBench().opened()
    await bench.assign(product=Product.NRML)
    ledger = Ledger(bench.strategy.name, bench.account.broker_id, SBIN, Product.NRML)
    await want(bench.engine, ledger, 0, run_id="yesterday", day=YESTERDAY)
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    assert (await goal_of(bench, ledger)).quantity == 10
