"""The host's clock is wrong: said once, over a restart too, entries denied, right again said once."""

# ruff: noqa: ARG002 - what the clock's protocol passes

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.domain.notices.system import ClockRight, ClockWrong
from core.domain.target import Direction
from core.engine.runs.clock_watch import ClockWatch
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import REAL_NOW
from tests.fakes.run_bench import TEN, RunBench


class Compared(ManualClock):
    """A clock whose offsets a test sets."""

    seconds: tuple[float, ...] = ()

    def compare(
        self, peer: str, date: datetime, *, sent_at: datetime, answered_at: datetime
    ) -> None:
        raise AssertionError("nothing is sent here")

    def offsets(self) -> dict[str, list[timedelta]]:
        return {"api.example": [timedelta(seconds=one) for one in self.seconds]}


@pytest.mark.matrix("K02")
async def test_a_wrong_clock_is_told_once_and_enters_nothing() -> None:
    """40 s slow: one notice, no entry at plan and none at the gate; then right, and one notice."""
    clock = Compared(REAL_NOW, TEN)
    bench = await RunBench(clock=clock).opened()
    engine = bench.engine
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    clock.seconds = (40, 41, 40)
    await bench.turns()
    (entry,) = await engine.orders()
    assert (bench.sent(), entry.reason) == (
        [],
        "this computer's clock is 40 s slow: no entry is sent",
    )
    watch = engine.wiring.upkeep.clock
    for _ in range(2):
        await watch.tick()
    await ClockWatch(engine.store, clock, engine.wiring.outbox).tick()
    assert await engine.notices(ClockWrong, ClockRight) == [ClockWrong(40)]
    bench.strategy.want(Direction.LONG, TEN + timedelta(seconds=1))
    await clock.advance(1)
    await bench.run()
    assert await bench.note() == "this computer's clock is 40 s slow: no entry is sent"
    clock.seconds = (40, 0.3, -0.2)
    await watch.tick()
    clock.seconds = (0.4, 0.3, -0.2)
    for _ in range(2):
        await watch.tick()
    assert await engine.notices(ClockWrong, ClockRight) == [ClockWrong(40), ClockRight()]
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10


@pytest.mark.matrix("K02")
async def test_up_to_thirty_seconds_entries_go_on() -> None:
    """Five seconds fast are told, and nothing is denied."""
    clock = Compared(REAL_NOW, TEN)
    clock.seconds = (-5, -6, -5.5)
    bench = await RunBench(clock=clock).opened()
    await bench.engine.wiring.upkeep.clock.tick()
    assert await bench.engine.notices(ClockWrong) == [ClockWrong(-5)]
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
