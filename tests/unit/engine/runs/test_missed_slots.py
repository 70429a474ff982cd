"""What a late or missed slot has cost is told, and nothing where nothing was lost (row D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.adapters.clock import clock_from_setting
from core.domain.mode import TradingMode
from core.domain.notices.runs import SlotMissed
from core.domain.sessions import Schedule
from core.domain.target import ParameterValue
from core.engine.runs.plan import RunRequest
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import REAL_NOW, MemoryEngine, market_clock
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
    first, last = handled + timedelta(minutes=5), TEN - timedelta(minutes=5)
    lost = ("", False, first, last) if first <= last else ()
    expected = [] if told is None else [SlotMissed(strategy.name, TEN, late_s, *told, *lost)]
    assert await engine.notices(SlotMissed) == expected
    assert request.may_enter is (told is None or told[1])


class Moved(ManualClock):
    """A clock that somebody moves ahead, from twenty to ten to some seconds after ten.

    Between the times it is the clock that a demo gives its controller.
    """

    def __init__(self) -> None:
        super().__init__(REAL_NOW)
        moved = (TEN - timedelta(minutes=20), REAL_NOW), (TEN, REAL_NOW + timedelta(seconds=60))
        parts = (f"{sim.isoformat()}@{wall.isoformat()}*1" for sim, wall in moved)
        self._moved = clock_from_setting(";".join(parts))

    def market_now(self) -> datetime:
        return self.market_at(self.now())

    def market_at(self, real: datetime) -> datetime:
        return self._moved.market_at(real)

    def real_at(self, market: datetime) -> datetime:
        return self._moved.real_at(market)


@pytest.mark.row("D2")
async def test_what_a_moved_clock_went_over_was_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever moves the clock of a demo needs no alarm; what is missed after that is told."""
    clock, strategy = Moved(), Obedient()
    engine = await MemoryEngine(clock, {strategy.name: strategy}).owned()
    await engine.connect()
    settings = engine.control.strategy_settings
    await settings.set_enabled(engine.command(), strategy.name, enabled=True)
    asked: list[datetime] = []

    async def run(request: RunRequest) -> str:
        asked.append(request.slot_at)
        return "done"

    monkeypatch.setattr(engine.wiring.runner, "run", run)
    await engine.wiring.strategies.mark_slot(strategy.name, TEN - timedelta(minutes=20))
    await clock.advance(67)
    await engine.wiring.scheduler.tick_slots()
    assert (asked, await engine.notices(SlotMissed)) == ([TEN], [])
    await clock.advance(15 * 60)
    await engine.wiring.scheduler.tick_slots()
    (told,) = await engine.notices(SlotMissed)
    assert isinstance(told, SlotMissed)
    lost = TEN + timedelta(minutes=5), TEN + timedelta(minutes=10)
    assert (told.first_at, told.last_at) == lost


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
