"""What every clock promises: the product's two, and those that stand in for them in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from core.adapters.clock import MARKET_ZONE, SystemClock
from core.ports.clock import Clock
from tests.fakes.bot_api import Wall
from tests.fakes.bot_engine import QuickClock
from tests.fakes.clock import ManualClock, RunningClock, running_from
from tests.fakes.lockstep import LockstepClock

SLOT = datetime(2026, 11, 23, 10, 15, tzinfo=MARKET_ZONE)
A_LITTLE = timedelta(seconds=1)
Makes = Callable[[], Clock]


def lockstep() -> Clock:
    """Return a lockstep clock that was put to a later time since it was made."""
    clock = LockstepClock(SLOT - timedelta(hours=1))
    clock.step(SLOT)
    return clock


CLOCKS: dict[str, Makes] = {
    "system": SystemClock,
    "simulated": lambda: running_from(SLOT, 30),
    "manual": lambda: ManualClock(market=SLOT),
    "running": RunningClock,
    "quick": lambda: QuickClock(Wall()),
    "lockstep": lockstep,
}


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    """Each of them in turn."""
    return CLOCKS[request.param]()


async def passes(clock: Clock, wait: Awaitable[None]) -> None:
    """Wait on a clock; one that only a test moves is moved."""
    if not isinstance(clock, ManualClock):
        await wait
        return
    waiting = asyncio.ensure_future(wait)
    await clock.wait_for_sleepers()
    await clock.advance(60)
    await waiting


def test_times_are_aware_and_in_their_zones(clock: Clock) -> None:
    """Real time is UTC, market time is India's, asked either way."""
    real, market = clock.now(), clock.market_now()
    assert real.utcoffset() == timedelta(0)
    assert clock.real_at(market).utcoffset() == timedelta(0)
    for moment in (market, clock.market_at(real)):
        assert moment.utcoffset() == timedelta(hours=5, minutes=30)


def test_the_two_times_belong_together(clock: Clock) -> None:
    """Market time now is that of real time now, and the moment of a market time leads back to it."""
    market = clock.market_now()
    assert abs(clock.market_at(clock.now()) - market) < 60 * A_LITTLE
    assert abs(clock.market_at(clock.real_at(market)) - market) < A_LITTLE
    later = market + timedelta(minutes=5)
    assert clock.real_at(later) > clock.now()


async def test_waiting_lets_real_time_pass(clock: Clock) -> None:
    """By no less than was asked for, on both real times alike."""
    at, real = clock.monotonic(), clock.now()
    await passes(clock, clock.sleep(0.05))
    # The machine's two clocks may differ by a little while they are read.
    assert clock.monotonic() - at >= 0.045
    assert clock.now() - real >= timedelta(seconds=0.045)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_wait_lets_others_go_on(clock: Clock, seconds: float) -> None:
    """A wait of nothing ends by itself, after a turn of the loop."""
    went_on = asyncio.Event()
    asyncio.get_running_loop().call_soon(went_on.set)
    await clock.sleep(seconds)
    assert went_on.is_set()
