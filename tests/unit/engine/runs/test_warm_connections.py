"""Connections are open and the machine is awake for a slot, and nothing is asked for it twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.adapters.wakefulness import Wakefulness
from core.domain.target import Direction
from tests.fakes.run_bench import TEN, RunBench


@pytest.fixture
async def bench() -> AsyncIterator[RunBench]:
    """An account whose strategy has a slot at ten; its worker has a client."""
    bench = await RunBench().opened()
    engine = bench.engine
    await engine.control.strategy_settings.set_enabled(engine.command(), "obedient", enabled=True)
    await bench.turns(1)
    service = asyncio.create_task(engine.wiring.connections.open_ahead())
    yield bench
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)


async def asked(bench: RunBench) -> int:
    """Return how often a connection was asked for, once nothing waits any more."""
    for _ in range(10):
        await asyncio.sleep(0)
    return bench.broker.warmed


async def test_connection_is_opened_just_before_the_slot(bench: RunBench) -> None:
    """Once, and no earlier than it is kept for; when the slot has come nothing is asked anew."""
    scheduler, clock = bench.engine.wiring.scheduler, bench.engine.clock
    await scheduler.tick_slots()  # ten o'clock
    before = await asked(bench)
    seen = []
    for ahead_s in (200.0, 5.0, 1.5, 1.0, 0.5, 0.1):
        await clock.advance_to(TEN + timedelta(minutes=5, seconds=-ahead_s))
        await scheduler.tick_slots()
        seen.append(await asked(bench) - before)
    assert seen == [0, 0, 0, 1, 1, 1]
    bench.bars("815.00", until=TEN + timedelta(minutes=5))
    await clock.advance_to(TEN + timedelta(minutes=5))
    await scheduler.tick_slots()
    assert await asked(bench) - before == 1


async def test_connection_is_opened_in_time_where_market_time_runs_faster(
    bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times: a look comes each five seconds of the market's, and a second ahead is real."""
    scheduler, clock = bench.engine.wiring.scheduler, bench.engine.clock
    await scheduler.tick_slots()
    before = await asked(bench)
    slot, real_at = TEN + timedelta(minutes=5), clock.real_at
    await clock.advance_to(slot - timedelta(seconds=9))
    assert await asked(bench) == before
    monkeypatch.setattr(clock, "real_at", lambda at: real_at(at) - (at - clock.market_now()) * 0.9)
    await scheduler.tick_slots()
    assert await asked(bench) == before + 1


async def test_machine_is_awake_for_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """From just before it, and for each run by itself: a user's comes without a slot."""
    wishes: list[float] = []
    monkeypatch.setattr(Wakefulness, "stay_awake", lambda _awake, seconds: wishes.append(seconds))
    bench = await RunBench().opened()
    scheduler, clock = bench.engine.wiring.scheduler, bench.engine.clock
    settings = bench.engine.control.strategy_settings
    await settings.set_enabled(bench.engine.command(), "obedient", enabled=True)
    await scheduler.tick_slots()  # ten o'clock
    wishes.clear()
    await clock.advance_to(TEN + timedelta(minutes=5, seconds=-1.5))
    await scheduler.tick_slots()
    assert wishes == []
    await clock.advance_to(TEN + timedelta(minutes=5, seconds=-1))
    await scheduler.tick_slots()
    await scheduler.tick_slots()
    assert len(wishes) == 1
    assert wishes[0] > 1  # until the slot, and for a while
    await bench.run()
    assert len(wishes) == 2


async def test_connection_is_opened_while_an_entry_is_committed(bench: RunBench) -> None:
    """A run that a user asks for comes without a slot; one that enters nothing asks for nothing."""
    await bench.run()
    assert await asked(bench) == 0
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    assert await asked(bench) == 1


async def test_account_that_does_not_run_the_strategy_is_left_alone(bench: RunBench) -> None:
    """Nor is one without a client asked for."""
    other = await bench.engine.connect("Other")
    await bench.assign(is_on=False)
    await bench.engine.wiring.runner.warm("obedient")
    assert await asked(bench) == 0
    assert bench.engine.at_broker(other).warmed == 0
