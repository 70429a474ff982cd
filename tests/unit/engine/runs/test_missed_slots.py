"""What a late or missed slot has cost is told, and nothing where nothing was lost (row D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.runs import SlotMissed
from core.domain.sessions import Schedule
from core.domain.target import ParameterValue
from core.engine.runs.plan import RunRequest
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.rendered import text_of
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
    await engine.connect()
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


LAST_ENTRY = TEN.replace(hour=14, minute=30)


class Ending(Obedient):
    """Enters at half past two for the last time, as its schedule says."""

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return replace(super().schedule(parameters), entry_until=LAST_ENTRY.time())


async def told_of(
    monkeypatch: pytest.MonkeyPatch,
    slot: datetime,
    *,
    mode: TradingMode = TradingMode.NORMAL,
    needs_login: bool = False,
) -> SlotMissed:
    """Return what is told when the run before ``slot`` was missed and this one is in time."""
    strategy = Ending()
    engine = await MemoryEngine(
        market_clock(slot + timedelta(seconds=7)), {strategy.name: strategy}
    ).owned()
    account = await engine.connect(logged_in=not needs_login)
    await engine.control.modes.set(engine.command(), mode, account.broker_id)
    await engine.control.strategy_settings.set_enabled(
        engine.command(), strategy.name, enabled=True
    )
    await engine.wiring.strategies.mark_slot(strategy.name, slot - timedelta(minutes=10))

    async def run(_request: RunRequest) -> str:
        return "done"  # what it does is no matter here, and it would wait for bars

    monkeypatch.setattr(engine.wiring.runner, "run", run)
    await engine.wiring.scheduler.tick_slots()
    (told,) = await engine.notices(SlotMissed)
    assert isinstance(told, SlotMissed)
    return told


@pytest.mark.row("D2")
@pytest.mark.parametrize(
    ("after", "mode", "needs_login", "expected"),
    [
        (0, TradingMode.NORMAL, False, ("", False)),
        (5, TradingMode.NORMAL, False, ("it enters nothing after 14:30", False)),
        (30, TradingMode.NORMAL, False, ("it enters nothing after 14:30", False)),
        (0, TradingMode.EXIT_ONLY, False, ("exit only: nothing is entered", False)),
        (5, TradingMode.PAUSED, False, ("paused: nothing is sent", True)),
        (0, TradingMode.NORMAL, True, ("needs a login", True)),
    ],
)
async def test_nobody_is_promised_an_entry_that_cannot_come(
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    mode: TradingMode,
    needs_login: bool,
    expected: tuple[str, bool],
) -> None:
    """After the last entry, in another mode, without a login: the notice says what the run can do."""
    told = await told_of(
        monkeypatch, LAST_ENTRY + timedelta(minutes=after), mode=mode, needs_login=needs_login
    )
    assert (told.kept_out, told.is_silent) == expected
    words = await text_of(told)
    why, is_silent = expected
    assert ("enters as usual" in words) is not bool(why)
    assert why in words
    assert ("nothing is sent" in words) is is_silent


@pytest.mark.row("D2")
async def test_a_late_run_that_had_nothing_to_enter_drops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says that it would only exit in time as well."""
    told = replace(
        await told_of(monkeypatch, LAST_ENTRY + timedelta(minutes=5)), may_enter=False, late_s=300
    )
    words = await text_of(told)
    assert "dropped" not in words and "it enters nothing after 14:30" in words
