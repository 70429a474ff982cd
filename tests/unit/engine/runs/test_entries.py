"""Entries that are meant: one for each signal, none beside a working one, no short in delivery."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.instrument import Product
from core.domain.target import Direction
from core.errors import UserError
from strategy.opening_range_breakout import OpeningRangeBreakout
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, RunBench

LONG, SHORT, FLAT = Direction.LONG, Direction.SHORT, Direction.FLAT


@pytest.fixture
async def bench() -> RunBench:
    return await RunBench().opened()


@pytest.mark.row("D3")
async def test_a_signal_enters_once(bench: RunBench) -> None:
    """After a stop or a user's own close the same signal does not enter again; a new one does."""
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    await bench.close()
    await bench.turns()
    assert await bench.held() == 0
    await bench.engine.clock.advance(90)
    await bench.run()
    await bench.turns()
    assert bench.sent() == [("BUY", 10), ("SELL", 10)]
    bench.strategy.want(LONG, TEN + timedelta(seconds=90))
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10


@pytest.mark.row("D3")
async def test_an_entry_that_came_to_nothing_waits_for_the_next_signal(bench: RunBench) -> None:
    """A run of the same slot's signal does not try again what was denied when it was sent."""
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.engine.clock.advance(61)
    await bench.turns()
    await bench.run()
    await bench.turns()
    assert bench.sent() == []


@pytest.mark.row("D3")
async def test_a_signal_that_was_only_denied_may_enter_when_it_is_asked_for(
    bench: RunBench,
) -> None:
    """Nothing was entered while it was off, so a run of the same slot may still enter."""
    await bench.assign(is_on=False)
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.assign(is_on=True)
    await bench.engine.clock.advance(60)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10


@pytest.mark.row("D3")
async def test_a_run_during_a_partly_filled_entry_keeps_its_goal(bench: RunBench) -> None:
    """Four of ten have filled: the next run wants ten still, and nothing of it is sold."""
    bench.broker.is_slow = True
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    (entry,) = bench.broker.order_list
    bench.broker.fill(entry, units=4)
    await bench.turns()
    assert await bench.held() == 4
    await bench.engine.clock.advance(30)
    await bench.run()
    assert await bench.goal() == 10
    bench.broker.fill(entry)
    await bench.turns()
    assert (await bench.held(), bench.sent()) == (10, [("BUY", 10)])


@pytest.mark.row("D4")
async def test_off_ends_an_entry_that_still_fills(bench: RunBench) -> None:
    """Four of ten have filled when it is switched off: the rest is cancelled, the four stay."""
    bench.broker.is_slow = True
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    (entry,) = bench.broker.order_list
    bench.broker.fill(entry, units=4)
    await bench.turns()
    await bench.assign(is_on=False)
    await bench.turns()
    assert (await bench.goal(), await bench.held()) == (4, 4)
    assert bench.broker.order_list[entry].status is BrokerStatus.CANCELED
    bench.strategy.want(SHORT, TEN + timedelta(seconds=1))
    await bench.engine.clock.advance(1)
    await bench.run()
    bench.broker.is_slow = False
    await bench.turns()
    assert (await bench.held(), bench.sent()) == (0, [("BUY", 10), ("SELL", 4)])
    assert "off on this account" in await bench.note()


@pytest.mark.row("R3")
async def test_a_short_signal_in_delivery_closes_and_enters_nothing(bench: RunBench) -> None:
    """The sale would take the user's own shares: what is held is sold, and the run says why."""
    await bench.assign(product=Product.CNC)
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    bench.strategy.want(SHORT, TEN + timedelta(seconds=1))
    await bench.engine.clock.advance(1)
    await bench.run()
    await bench.turns()
    assert (await bench.held(), bench.sent()) == (0, [("BUY", 10), ("SELL", 10)])
    assert await bench.note() == "CNC holds no short position: no entry is sent"


@pytest.mark.row("R3", "D4")
async def test_delivery_and_a_short_side_are_refused_at_choice() -> None:
    """Neither order of the two choices is taken; with the side long, CNC is."""
    orb = OpeningRangeBreakout()
    engine = await MemoryEngine(market_clock(TEN), {orb.name: orb}).owned()
    account = await engine.connect()
    settings = engine.control.strategy_settings
    with pytest.raises(UserError, match="CNC holds no short"):
        await settings.assign(engine.command(), orb.name, account.broker_id, product=Product.CNC)
    await settings.set_parameter(engine.command(), orb.name, "side", "long")
    await settings.assign(engine.command(), orb.name, account.broker_id, product=Product.CNC)
    with pytest.raises(UserError, match="runs in CNC on"):
        await settings.set_parameter(engine.command(), orb.name, "side", "both")
    await settings.assign(engine.command(), orb.name, account.broker_id, is_on=False)
    await settings.set_parameter(engine.command(), orb.name, "side", "both")
    with pytest.raises(UserError, match="CNC holds no short"):
        await settings.assign(engine.command(), orb.name, account.broker_id, is_on=True)
    await settings.set_parameter(engine.command(), orb.name, "stop_percent", "2")
    assert (await settings.parameters(orb.name))["stop_percent"] == Decimal(2)
