"""What keeps the event loop busy is found, counted and named."""

from __future__ import annotations

import asyncio
import logging

import pytest

from core.adapters.loop_watch import LoopWatch
from core.domain.views import LoopLag


def keeps_busy(watch: LoopWatch) -> None:
    """Keep the loop from everything else until that was seen."""
    while not watch._where:
        pass


def test_what_blocks_is_counted_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """The log says in which function the loop was, and how much of it was its own work."""
    caplog.set_level(logging.WARNING, "core.adapters.loop_watch")
    watch = LoopWatch()

    async def live() -> LoopLag:
        await asyncio.sleep(0)
        keeps_busy(watch)
        while not any("keeps_busy" in one.getMessage() for one in caplog.records):
            await asyncio.sleep(0.001)
        return watch.lag()

    with asyncio.Runner(loop_factory=watch.new_loop) as runner:
        lag = runner.run(live())
    watch.close()
    assert lag.late >= 1 and lag.worst_ms > 20
    said = next(one.getMessage() for one in caplog.records if "keeps_busy" in one.getMessage())
    assert "own work" in said and "test_loop_watch.py" in said


def test_lag_is_that_of_the_last_minute() -> None:
    """A turn counts for a minute, a short one only as the longest."""
    now = 1000.0
    watch = LoopWatch(lambda: now)

    def turn(seconds: float) -> None:
        nonlocal now
        watch._begin()
        now += seconds
        watch._end()

    assert watch.lag() == LoopLag(0, 0)
    for seconds in (0.0078125, 0.03125, 0.5, 0.015625):  # exact in binary
        turn(seconds)
    assert watch.lag() == LoopLag(500, 2)
    now += 30
    turn(0.0625)
    assert watch.lag() == LoopLag(500, 3)
    now += 31
    assert watch.lag() == LoopLag(62.5, 1)
    now += 31
    assert watch.lag() == LoopLag(0, 0)
