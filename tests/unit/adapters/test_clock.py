"""The clocks: market time from a setting, and the fake that tests move by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.clock import SimulatedClock, SystemClock, clock_from_setting
from core.errors import ConfigurationError
from core.ports.clock import Clock
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.dates

IST = ZoneInfo("Asia/Kolkata")
SIM = datetime(2026, 11, 20, 9, 10, tzinfo=IST)
TOLERANCE = timedelta(seconds=20)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_without_a_setting_market_time_is_real_time(text: str | None) -> None:
    """In IST, and both the same instant."""
    clock = clock_from_setting(text)
    assert clock.market_now().tzinfo == IST
    assert abs(clock.market_now() - datetime.now(UTC)) < TOLERANCE
    assert clock.real_at(SIM) == SIM
    assert clock.real_at(SIM).utcoffset() == timedelta(0)


def test_market_time_runs_faster_from_its_anchor() -> None:
    """Ten real seconds after WALL, at sixty fold, ten market minutes have gone."""
    wall = datetime.now(UTC) - timedelta(seconds=10)
    clock = clock_from_setting(f"2026-11-20T09:10:00+05:30@{wall.isoformat()}*60")
    gone = clock.market_now() - SIM
    assert timedelta(minutes=10) <= gone < timedelta(minutes=30)
    assert clock.market_now().tzinfo == IST
    assert abs(clock.now() - datetime.now(UTC)) < TOLERANCE


def test_two_processes_with_one_setting_show_one_market_time() -> None:
    """Nothing but the text and real time goes in, so a restart changes nothing."""
    wall = datetime.now(UTC) - timedelta(hours=1)
    text = f"2026-11-20T09:10+05:30@{wall.isoformat()}*5"
    one, other = clock_from_setting(text), clock_from_setting(text)
    before = one.market_now()
    assert before <= other.market_now() <= one.market_now()


def test_times_without_a_zone_are_indian() -> None:
    """A user writes the exchange's time."""
    clock = clock_from_setting("2026-11-20T09:10@2026-11-23T10:00*1")
    assert clock.real_at(SIM) == datetime(2026, 11, 23, 10, 0, tzinfo=IST)


@given(
    speed=st.floats(min_value=0.01, max_value=60),
    ahead_s=st.integers(min_value=-(10**7), max_value=10**7),
)
def test_real_at_is_the_inverse_of_market_time(speed: float, ahead_s: int) -> None:
    """A slot's real time, asked for at any speed, is when market time gets there."""
    wall = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
    clock = SimulatedClock(SIM, wall, speed)
    slot = SIM + timedelta(seconds=ahead_s)
    real = clock.real_at(slot)
    assert abs((SIM + (real - wall) * speed) - slot) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "2026-11-20T09:10",
        "2026-11-20T09:10*5",
        "2026-11-20T09:10@2026-11-23T10:00",
        "soon@2026-11-23T10:00*5",
        "2026-11-20T09:10@later*5",
        "2026-11-20T09:10@2026-11-23T10:00*fast",
        "2026-11-20T09:10@2026-11-23T10:00*0",
        "2026-11-20T09:10@2026-11-23T10:00*-1",
        "2026-11-20T09:10@2026-11-23T10:00*61",
        "2026-11-20T09:10@2026-11-23T10:00*nan",
        "2026-11-20T09:10@2026-11-23T10:00*inf",
        "0001-01-01T00:00@2026-11-23T10:00*1",
    ],
)
def test_a_wrong_setting_says_what_was_found_and_what_is_expected(text: str) -> None:
    """In one sentence that names the setting."""
    with pytest.raises(ConfigurationError, match="SAARTHI_CLOCK") as wrong:
        clock_from_setting(text)
    assert repr(text) in str(wrong.value)
    assert "SIM@WALL*SPEED" in str(wrong.value)


@pytest.mark.parametrize("clock", [SystemClock(), SimulatedClock(SIM, SIM, 60)])
async def test_waiting_takes_real_seconds(clock: Clock) -> None:
    """Deadlines are real, whatever market time does."""
    before = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - before >= 0.015


def test_a_clock_that_was_moved_ahead_keeps_what_was_before() -> None:
    """Each part holds from its WALL on; a market time that was stepped over is at the step."""
    wall = datetime.now(UTC)
    step = wall + timedelta(minutes=2)
    later = SIM.replace(hour=14, minute=55)
    parts = (
        f"{SIM.isoformat()}@{wall.isoformat()}*10",
        f"{later.isoformat()}@{step.isoformat()}*10",
    )
    clock = clock_from_setting("; ".join(parts))
    minute = timedelta(minutes=1)
    assert clock.market_at(wall - minute) == SIM - 10 * minute
    assert clock.market_at(wall + minute) == SIM + 10 * minute
    assert clock.market_at(step + minute) == later + 10 * minute
    assert clock.real_at(SIM - 10 * minute) == wall - minute
    assert clock.real_at(SIM + 10 * minute) == wall + minute
    assert clock.real_at(SIM.replace(hour=12)) == step
    assert clock.real_at(later + 10 * minute) == step + minute
    with pytest.raises(ConfigurationError, match="steps back"):
        clock_from_setting(";".join(reversed(parts)))


# --- the fake ------------------------------------------------------------------------------------


async def test_the_manual_clock_wakes_sleepers_in_order_and_at_their_moment() -> None:
    """Each sees its own time, one that sleeps again within the advance too."""
    clock = ManualClock()
    seen: list[tuple[str, float]] = []

    async def ticker(name: str, every_s: float) -> None:
        while True:
            await clock.sleep(every_s)
            seen.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ticker("slow", 3)), group.create_task(ticker("quick", 2))]
        await clock.wait_for_sleepers(2)
        await clock.advance(6.5)
        assert seen == [("quick", 2), ("slow", 3), ("quick", 4), ("slow", 6), ("quick", 6)]
        assert clock.monotonic() == 6.5
        for task in tasks:
            task.cancel()


async def test_the_manual_clock_keeps_market_and_real_time_apart() -> None:
    """Both move together; a step of the wall lets nothing pass."""
    clock = ManualClock(now=datetime(2026, 11, 23, 4, 0, tzinfo=UTC), market=SIM)
    assert clock.market_now() == SIM
    await clock.advance_to(SIM + timedelta(minutes=5))
    assert clock.now() == datetime(2026, 11, 23, 4, 5, tzinfo=UTC)
    assert clock.real_at(SIM) == datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    clock.step_wall(6 * 3600)
    assert clock.monotonic() == 300
    assert clock.now() == datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
