"""A schedule that is changed within the day: slots of before the change are no missed runs (D2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta

import pytest

from core.domain.notices.runs import SlotMissed
from core.domain.sessions import Schedule
from core.domain.target import Parameter, ParameterValue
from core.engine.runs.plan import RunRequest
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient

pytestmark = pytest.mark.row("D2")


class Tuned(Obedient):
    """Runs every so many minutes from 09:30."""

    parameters = (
        *Obedient.parameters,
        Parameter("every", "Bar length", 30, 1, 60),
        Parameter("width", "Width", 5, 1, 60),
    )

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(time(9, 30), time(14, 55), int(parameters["every"]))


class Bench:
    """An engine at twenty past ten whose last run was at ten; what it is asked to run."""

    def __init__(self, at: datetime) -> None:
        self.strategy = Tuned()
        self.engine = MemoryEngine(market_clock(at), {self.strategy.name: self.strategy})
        self.asked: list[datetime] = []

    async def opened(self, monkeypatch: pytest.MonkeyPatch, handled: datetime) -> Bench:
        await self.engine.owned()
        await self.engine.connect()
        name, wiring = self.strategy.name, self.engine.wiring
        settings = self.engine.control.strategy_settings
        await settings.set_enabled(self.engine.command(), name, enabled=True)
        await wiring.strategies.mark_slot(name, handled)

        async def run(request: RunRequest) -> str:
            self.asked.append(request.slot_at)
            return "done"

        monkeypatch.setattr(wiring.runner, "run", run)
        return self

    async def change(self, parameter: str, value: str) -> None:
        settings = self.engine.control.strategy_settings
        await settings.set_parameter(self.engine.command(), self.strategy.name, parameter, value)

    async def tick(self) -> None:
        await self.engine.wiring.scheduler.tick_slots()


async def test_a_denser_schedule_misses_nothing_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """From half an hour to five minutes at 10:22: 10:25 is next; 10:05 to 10:20 are no slots of it."""
    bench = await Bench(TEN + timedelta(minutes=22)).opened(monkeypatch, TEN)
    await bench.change("every", "5")
    await bench.tick()
    assert bench.asked == []
    await bench.engine.clock.advance(3 * 60)
    await bench.tick()
    assert bench.asked == [TEN + timedelta(minutes=25)]
    assert await bench.engine.notices(SlotMissed) == []


async def test_what_is_missed_after_the_change_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slots after the change go by while nothing looks: the newest is run, one was missed."""
    bench = await Bench(TEN + timedelta(minutes=22)).opened(monkeypatch, TEN)
    await bench.change("every", "5")
    await bench.engine.clock.advance(8 * 60)
    await bench.tick()
    assert bench.asked == [TEN + timedelta(minutes=30)]
    lost = TEN + timedelta(minutes=25)
    assert await bench.engine.notices(SlotMissed) == [
        SlotMissed(bench.strategy.name, bench.asked[0], 0, 1, True, first_at=lost, last_at=lost)
    ]


async def test_a_slot_that_is_due_is_not_lost_by_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed two seconds after ten o'clock, before the run of ten: it runs, and misses nothing."""
    bench = await Bench(TEN + timedelta(seconds=2)).opened(monkeypatch, TEN - timedelta(minutes=30))
    await bench.change("every", "5")
    await bench.tick()
    assert bench.asked == [TEN]
    assert await bench.engine.notices(SlotMissed) == []


async def test_another_parameter_changes_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not concern the schedule leaves missed slots to be told."""
    bench = await Bench(TEN + timedelta(minutes=70)).opened(monkeypatch, TEN)
    await bench.change("width", "6")
    await bench.tick()
    assert bench.asked == [TEN + timedelta(minutes=60)]
    (told,) = await bench.engine.notices(SlotMissed)
    lost = TEN + timedelta(minutes=30)
    name = bench.strategy.name
    assert told == SlotMissed(name, bench.asked[0], 600, 1, False, first_at=lost, last_at=lost)
