"""How long the end of a bar is waited for: by the ticks alone, in seconds of this computer's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.sessions import IST
from core.domain.ticks import PriceTick
from core.engine.orders.prices import Prices
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.stream_watch import StreamWatch
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.row("D10")

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)


class Compared(ManualClock):
    """A clock whose offset from the brokers' a test sets."""

    ahead_s = 0.0

    def offsets(self) -> dict[str, list[timedelta]]:
        return {"api.example": [timedelta(seconds=self.ahead_s)] * 3}


class Watched:
    """A watch over ticks that a test makes."""

    def __init__(self) -> None:
        self.clock = Compared(NOON)
        self.live = LivePrices(self.clock, Prices())
        self.watch = StreamWatch(self.clock, self.live, lambda _name: True)

    def tick(self, late_s: float) -> None:
        """Hear a tick that was made so many seconds ago by this clock, told in whole seconds."""
        now = self.clock.market_now()
        at = (now - timedelta(seconds=late_s)).replace(microsecond=0)
        self.watch.hear([PriceTick(SBIN, Decimal(815), now, at, at, 1)])

    async def hears(self, seconds: float, *, each_s: float = 0.25, late_s: float = 0.0) -> None:
        """Let time pass with a tick now and then."""
        for _ in range(round(seconds / each_s)):
            self.tick(late_s)
            await self.clock.advance(each_s)


async def test_a_broker_that_seems_ahead_holds_back_no_bar() -> None:
    """Its ``Date`` is of whole seconds: half a second of an offset may be none at all."""
    it = Watched()
    it.clock.ahead_s = 0.45
    await it.hears(5)
    assert it.live.lag_s == pytest.approx(0)


async def test_bars_wait_for_ticks_that_come_after_this_clock_has_ended_the_minute() -> None:
    """This clock is 0.6 s fast, and so ends each minute before the exchange does."""
    it = Watched()
    it.clock.ahead_s = -0.6
    await it.hears(5, late_s=0.6)
    assert it.live.lag_s >= 0.6
    assert not it.watch.stopped


async def test_stream_shows_how_long_after_a_second_its_last_ticks_come() -> None:
    """Each is 80 ms under way: known after half a minute, and for a minute, on this connection."""
    it = Watched()
    ends, clock = it.live.ends, it.clock
    for _ in range(300):  # 10 ms later in its second each time
        it.tick(0.08)
        await clock.advance(0.11)
        shown = ends.longest_s(clock.monotonic())
        assert (shown is not None) == (clock.monotonic() > 29.1)
    assert shown == pytest.approx(0.08, abs=0.011)
    await it.hears(61)
    assert ends.longest_s(clock.monotonic()) == pytest.approx(0)
    it.watch.begin()
    assert ends.longest_s(clock.monotonic()) is None


async def test_stream_that_ticks_in_the_middle_of_seconds_shows_nothing_of_their_ends() -> None:
    """Each tick might be under way for seven tenths, as far as anybody knows."""
    it = Watched()
    await it.clock.advance(0.7)
    await it.hears(40, each_s=1)
    shown = it.live.ends.longest_s(it.clock.monotonic())
    assert shown == pytest.approx(0.7, abs=0.01)


async def test_a_wrong_clock_makes_no_stream_late() -> None:
    """Four seconds fast: told by the brokers' answers, and no fault of the stream's."""
    it = Watched()
    it.clock.ahead_s = -4
    await it.hears(5, late_s=4)
    assert not it.watch.stopped
    it.clock.ahead_s = 0
    await it.hears(5, late_s=4)
    assert it.watch.stopped
