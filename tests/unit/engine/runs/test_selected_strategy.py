"""``saarthi live`` runs one strategy on one account, and no other of either (row D5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.adapters.fyers import FYERS
from core.domain.target import Direction
from core.engine.runs.scheduler import Scheduler, Selection
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient, bar

pytestmark = pytest.mark.row("D5")


class Second(Obedient):
    """Another one, which is not chosen."""

    name = "second"


async def test_only_the_chosen_strategy_runs_and_only_there() -> None:
    """Enabled or not; what is not chosen decides nothing, though its slot is the same."""
    chosen, other = Obedient(), Second()
    clock = market_clock(TEN - timedelta(minutes=1))
    engine = await MemoryEngine(clock, {one.name: one for one in (chosen, other)}).owned()
    account, elsewhere = await engine.connect(), await engine.connect("Other", FYERS)
    await engine.control.strategy_settings.set_enabled(engine.command(), other.name, enabled=True)
    opened = TEN.replace(hour=9, minute=15)
    bars = [bar(opened + timedelta(minutes=5 * n), "815.00") for n in range(9)]
    for one in (account, elsewhere):
        engine.at_broker(one).bars[SBIN] = bars
    for strategy in (chosen, other):
        strategy.want(Direction.LONG, TEN)
    wiring = engine.wiring
    scheduler = Scheduler(
        engine.writer,
        clock,
        engine.foundation.calendar,
        wiring.strategies,
        wiring.runner,
        wiring.square_off,
        wiring.outbox,
        Selection(chosen.name, account.broker_id),
    )
    await clock.advance(60)
    await scheduler.tick_slots()
    orders = [(one.strategy, one.broker_id) for one in await engine.orders()]
    assert orders == [(chosen.name, account.broker_id)]
    assert (len(chosen.seen), other.seen) == (1, [])
    await scheduler.tick_slots()
    assert len(await engine.orders()) == 1
