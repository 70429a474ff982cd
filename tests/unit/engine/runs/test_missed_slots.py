"""What a late or missed slot has cost is told, and nothing where nothing was lost (row D2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.notices.runs import SlotMissed
from core.engine.runs.plan import RunRequest
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient


@pytest.mark.row("D2")
@pytest.mark.parametrize(
    ("handled_ago", "late_s", "told"),
    [
        (5, 7, None),
        (10, 7, (1, True)),
        (20, 7, (3, True)),
        (5, 120, (0, False)),
        (10, 120, (1, False)),
    ],
    ids=["in time", "one missed", "three missed", "late", "late and one missed"],
)
async def test_the_notice_agrees_with_the_run(
    monkeypatch: pytest.MonkeyPatch,
    handled_ago: int,
    late_s: int,
    told: tuple[int, bool] | None,
) -> None:
    """It counts the slots that were missed, and says of the run what the run is asked to do."""
    clock = market_clock(TEN + timedelta(seconds=late_s))
    strategy = Obedient()
    engine = await MemoryEngine(clock, {strategy.name: strategy}).owned()
    settings = engine.control.strategy_settings
    await settings.set_enabled(engine.command(), strategy.name, enabled=True)
    handled = TEN - timedelta(minutes=handled_ago)
    await engine.wiring.strategies.mark_slot(strategy.name, handled)
    asked: list[RunRequest] = []

    async def run(request: RunRequest) -> str:
        asked.append(request)
        return "done"

    monkeypatch.setattr(engine.wiring.runner, "run", run)
    for _ in range(2):  # told once
        await engine.wiring.scheduler.tick_slots()
    (request,) = asked
    expected = [] if told is None else [SlotMissed(strategy.name, TEN, late_s, *told)]
    assert await engine.notices(SlotMissed) == expected
    assert request.may_enter is (told is None or told[1])
