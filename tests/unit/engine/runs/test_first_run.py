"""Who enables a strategy hears of its first run, whatever came of it (rows D4, E1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.notices.runs import RunCard
from tests.fakes.run_bench import TEN, RunBench


async def slots(bench: RunBench) -> list[int]:
    """Return how many cards there are after each of three slots in which nothing is wanted."""
    found = []
    for minutes in (5, 10, 15):
        now = TEN + timedelta(minutes=minutes)
        await bench.engine.clock.advance_to(now)
        bench.bars("815.00", until=now)
        await bench.engine.wiring.scheduler.tick_slots()
        found.append(len(await bench.engine.notices(RunCard)))
    return found


@pytest.mark.row("D4")
@pytest.mark.row("E1")
async def test_the_first_run_is_told_without_a_signal_and_no_later_one() -> None:
    """A newcomer cannot tell a strategy that waits from one that does not run."""
    bench = await RunBench().opened()
    settings, name = bench.engine.control.strategy_settings, bench.strategy.name
    command = bench.engine.command
    await settings.set_enabled(command(), name, enabled=True, tells_first_run=True)
    assert await slots(bench) == [1, 1, 1]
    assert bench.sent() == []


@pytest.mark.row("D4")
async def test_nothing_is_told_that_nobody_waits_for() -> None:
    """Enabled and disabled again before a slot, or enabled by something else than the chat."""
    bench = await RunBench().opened()
    settings, name = bench.engine.control.strategy_settings, bench.strategy.name
    command = bench.engine.command
    await settings.set_enabled(command(), name, enabled=True, tells_first_run=True)
    await settings.set_enabled(command(), name, enabled=False)
    await settings.set_enabled(command(), name, enabled=True)
    assert await slots(bench) == [0, 0, 0]
