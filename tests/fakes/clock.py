"""Clocks of the tests, and the one module of theirs that asks the machine for the date.

A test that needs a certain day puts *market* time there; real time stays the machine's wherever a
store is near, because its servers remove what is older than some days by their own clock. So a
test is as good on any other day (tests/architecture/test_dates.py).

* ``ManualClock`` stands until it is moved; no second passes by itself.
* ``RunningClock`` runs as the machine's does, from a day of its own; for what knows no store.
* ``running_from`` and ``clock_text`` give the product's own simulated clock: market time of the
  test's choice, anchored at the machine's time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.adapters.clock import SimulatedClock

__all__ = ["ManualClock", "RunningClock", "clock_text", "noon_today", "running_from"]

_IST = ZoneInfo("Asia/Kolkata")
_SETTLE = 20  # turns of the loop that a woken task gets before time goes on


class ManualClock:
    """The clock port in a test's hand: ``sleep`` waits for ``advance``.

    ``market`` sets market time apart from real time; both then move together.
    """

    def __init__(
        self,
        now: datetime = datetime(2026, 11, 23, 4, 30, tzinfo=UTC),
        market: datetime | None = None,
    ) -> None:
        self._start = now.astimezone(UTC)
        self._elapsed = 0.0
        self._ahead = (market or now).astimezone(UTC) - self._start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def market_now(self) -> datetime:
        return (self.now() + self._ahead).astimezone(_IST)

    def real_at(self, market: datetime) -> datetime:
        return market.astimezone(UTC) - self._ahead

    def market_at(self, real: datetime) -> datetime:
        return (real + self._ahead).astimezone(_IST)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    @property
    def sleepers(self) -> int:
        """How many tasks wait on this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its own moment, in order."""
        await self._settle()
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            at, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed = max(self._elapsed, at)
            woken.set_result(None)
            await self._settle()
        self._elapsed = target
        await self._settle()

    async def advance_to(self, market: datetime) -> None:
        """Let time pass until market time is ``market``."""
        await self.advance((market - self.market_now()).total_seconds())

    async def wait_for_sleepers(self, count: int = 1) -> None:
        """Return when at least ``count`` tasks wait on this clock."""
        async with asyncio.timeout(150):
            while self.sleepers < count:
                await asyncio.sleep(0.001)

    def step_wall(self, seconds: float) -> None:
        """Step real and market time without letting any pass, as NTP or a user does."""
        self._start += timedelta(seconds=seconds)

    @staticmethod
    async def _settle() -> None:
        for _ in range(_SETTLE):
            await asyncio.sleep(0)


class RunningClock(SimulatedClock):
    """Runs as the machine's clock does, real and market time together, from a day of its own."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)) -> None:
        super().__init__(start, start, 1.0)
        self._start = start
        self._since = self.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic() - self._since)


def running_from(market: datetime, speed: float = 1.0) -> SimulatedClock:
    """Return a clock whose market time is ``market`` now; real time is the machine's."""
    return SimulatedClock(market, datetime.now(UTC), speed)


def clock_text(market: str, speed: float = 1.0) -> str:
    """Return ``SIM@WALL*SPEED``, the setting of a clock whose market time is ``market`` now."""
    return f"{market}@{datetime.now(UTC).isoformat()}*{speed:g}"


def noon_today() -> datetime:
    """Return noon in India of the machine's day: a fixed hour that no store finds too old."""
    return datetime.now(_IST).replace(hour=12, minute=0, second=0, microsecond=0)
