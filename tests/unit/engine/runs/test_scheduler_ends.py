"""The scheduler is cut short at any moment and leaves nothing that was begun and never awaited."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient


async def test_end_before_a_strategys_turn_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends between the scheduler's look and the first step of a strategy's slots."""
    strategy = Obedient()
    engine = await MemoryEngine(market_clock(TEN), {strategy.name: strategy}).owned()
    scheduler, begun = engine.wiring.scheduler, []

    def slots(name: str, *_arguments: object, waits: bool) -> asyncio.Future[None]:
        begun.append((name, waits))
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(scheduler, "_slots", slots)
    before = asyncio.all_tasks()
    running = asyncio.create_task(scheduler.run())
    while not (parts := asyncio.all_tasks() - before - {running}):
        await asyncio.sleep(0)
    for task in (*parts, running):
        task.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert begun == []
