"""Bars of a run: heard minutes and history, asked once for all strategies and for gaps alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST, SessionWindow
from core.domain.target import DataNeed
from core.domain.ticks import PriceTick
from core.engine.runs.bars import Bars
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import NoData
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.row("D10")

OPEN = datetime(2026, 11, 23, 9, 15, tzinfo=IST)
TCS = InstrumentId("NSE", "TCS")
MINUTE = timedelta(minutes=1)
WINDOW = SessionWindow(OPEN.date(), OPEN, OPEN.replace(hour=15))


def minute(number: int, close: str = "815", volume: int = 10) -> Candle:
    """Return the n-th minute of the day."""
    price = Decimal(close)
    return Candle(OPEN + number * MINUTE, price, price, price, price, volume)


class Historian(ScriptedAccount):
    """Notes what history it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.bar_minutes = 1
        self.histories: list[tuple[str, int]] = []
        self.is_away = False

    async def candles(self, instrument: InstrumentId, **span: Any) -> Sequence[Candle]:
        self.histories.append((instrument.symbol, span["minutes"]))
        if self.is_away:
            raise BrokerReadError(ReadFault.UNREACHABLE, "503")
        return await super().candles(instrument, **span)


@dataclass
class Day:
    """An engine, and the hands on its prices and its clock."""

    engine: MemoryEngine
    at: Historian
    volume: dict[InstrumentId, int] = field(default_factory=dict)

    @property
    def live(self) -> LivePrices:
        """What is heard."""
        return self.engine.wiring.price_parts.live

    def published(self, until: int, *names: InstrumentId, close: str = "815") -> None:
        """Let history have the minutes up to one."""
        for name in names or (SBIN,):
            self.at.bars[name] = [minute(n, close) for n in range(until)]

    def hears(self, at: datetime, last: str = "815", name: InstrumentId = SBIN) -> None:
        """Let the stream tell of a trade of ten units; it is proved by a quote."""
        self.volume[name] = self.volume.get(name, 0) + 10
        self.live.is_streaming = True
        heard = self.engine.clock.market_now()
        tick = PriceTick(name, Decimal(last), max(heard, at), at, at, self.volume[name])
        self.live.hear([tick])
        self.live.take({name: Quote(name, Decimal(last))}, asked_at=at)

    async def goes_on(self, until: int, name: InstrumentId = SBIN, last: str = "815") -> None:
        """Let time pass to a minute, with a trade at the start of each that begins."""
        clock = self.engine.clock
        while clock.market_now() < OPEN + until * MINUTE:
            await clock.advance(60 - clock.market_now().second)
            self.hears(clock.market_now(), last, name)

    async def read(self, slot: int, *names: InstrumentId, need: int = 5) -> Bars:
        """Read the bars of a slot, letting time pass while it waits."""
        reader = self.engine.wiring.price_parts.bars
        at = OPEN + slot * MINUTE
        part = reader.read(names or (SBIN,), DataNeed(need), WINDOW, at)
        task = asyncio.create_task(part)
        while not task.done():
            if self.engine.clock.sleepers:
                await self.engine.clock.advance(0.05)
            await asyncio.sleep(0.001)
        return await task


async def opened(at: int) -> Day:
    """Return a day at a minute of it."""
    engine = await MemoryEngine(market_clock(OPEN + at * MINUTE)).owned()
    engine.brokers[ZERODHA].accounts.default_factory = Historian
    account = await engine.connect()
    found = engine.brokers[ZERODHA].accounts[account.broker_id]
    assert isinstance(found, Historian)
    return Day(engine, found)


def shape(bars: Sequence[Candle]) -> list[tuple[int, int]]:
    """Return start minute and volume of each bar."""
    return [((bar.start - OPEN) // MINUTE, bar.volume) for bar in bars]


async def test_history_is_asked_for_the_start_and_never_again() -> None:
    """A start in the middle of the day: one request, and from the next whole minute on none."""
    day = await opened(20)
    day.published(20)
    assert shape((await day.read(20))[SBIN])[-1] == (15, 50)
    day.hears(OPEN + 20 * MINUTE + timedelta(seconds=10))
    await day.goes_on(25)
    day.published(25)
    # The minute in which the stream began is a gap.
    assert shape((await day.read(25))[SBIN])[-1] == (20, 50)
    asked = len(day.at.histories)
    for slot in (30, 35, 40):
        await day.goes_on(slot)
        assert shape((await day.read(slot))[SBIN])[-1] == (slot - 5, 50)
    assert (asked, len(day.at.histories)) == (2, 2)
    assert set(day.at.histories) == {("SBIN", 1)}


async def test_strategies_share_what_was_asked() -> None:
    """Four of them in one slot, with bars of any length, cost what one costs."""
    day = await opened(30)
    day.published(30, SBIN, TCS)
    found = [await day.read(30, SBIN, TCS, need=need) for need in (5, 5, 15, 30)]
    assert sorted(day.at.histories) == [("SBIN", 1), ("TCS", 1)]
    assert [shape(bars[TCS])[-1] for bars in found] == [(25, 50), (25, 50), (15, 150), (0, 300)]


async def test_stream_that_was_heard_from_the_open_needs_no_history() -> None:
    """Nothing is asked at all."""
    day = await opened(-2)
    day.hears(OPEN - MINUTE)
    await day.goes_on(10)
    assert shape((await day.read(10))[SBIN]) == [(0, 50), (5, 50)]
    assert day.at.histories == []


async def test_gap_of_the_stream_is_filled_and_history_wins() -> None:
    """A break in the stream: one request, and what it says of finished bars counts."""
    day = await opened(-2)
    day.hears(OPEN - MINUTE)
    await day.goes_on(6)
    day.live.break_off(day.engine.clock.market_now())
    await day.engine.clock.advance(130)
    day.hears(day.engine.clock.market_now())
    await day.goes_on(15)
    day.published(15, close="816")
    bars = (await day.read(15))[SBIN]
    assert [str(bar.close) for bar in bars] == ["816", "816", "815"]
    assert len(day.at.histories) == 1
    await day.goes_on(20)
    assert shape((await day.read(20))[SBIN])[-1] == (15, 50)
    assert len(day.at.histories) == 1


async def test_restart_in_a_minute_is_a_gap() -> None:
    """What a new life hears of the minute in which it began is not that minute."""
    day = await opened(9)
    await day.engine.clock.advance(30)
    day.hears(day.engine.clock.market_now(), "830")
    await day.goes_on(10)
    day.published(10)
    bars = (await day.read(10))[SBIN]
    assert (bars[-1].high, bars[-1].volume) == (Decimal(815), 50)


async def test_slot_decides_as_soon_as_a_later_tick_is_heard() -> None:
    """And a tenth of a second after the close where none comes."""
    day = await opened(-2)
    day.hears(OPEN - MINUTE)
    await day.goes_on(5)  # the trade of the sixth minute has been heard
    clock = day.engine.clock
    began = clock.now()
    await day.read(5)
    assert clock.now() == began
    await clock.advance(299)
    await clock.advance(1)
    began = clock.now()
    assert shape((await day.read(10))[SBIN])[-1] == (5, 10)
    assert clock.now() - began <= timedelta(seconds=0.15)


async def test_late_tick_corrects_the_bar_for_the_next_run() -> None:
    """The run decided without it; it is in its own minute when the bars are read again."""
    day = await opened(-2)
    day.hears(OPEN - MINUTE)
    await day.goes_on(10)
    before = (await day.read(10))[SBIN][-1]
    late = OPEN + 9 * MINUTE + timedelta(seconds=59)
    day.hears(late, "820")
    await day.goes_on(15)
    after = (await day.read(15))[SBIN]
    assert [before.close, after[-2].close, after[-2].high] == list(map(Decimal, (815, 820, 820)))


async def test_one_whose_history_is_away_costs_no_other() -> None:
    """It has no bars in this run; the one that was heard whole has all of them."""
    day = await opened(-2)
    day.hears(OPEN - MINUTE)
    await day.goes_on(10)
    day.at.is_away = True
    found = await day.read(10, SBIN, TCS)
    assert shape(found[SBIN]) == [(0, 50), (5, 50)] and not found[TCS]
    with pytest.raises(NoData, match="503"):
        await day.read(10, TCS)


async def test_bar_that_history_has_not_published_is_waited_for() -> None:
    """A few seconds; a bar that lacks its last minute is no bar."""
    day = await opened(20)
    day.published(19)
    bars = (await day.read(20))[SBIN]
    assert shape(bars)[-1] == (10, 50)
    assert len(day.at.histories) > 5


async def test_start_of_the_day_is_read_once_it_is_settled() -> None:
    """Ahead of the slots, some minutes after the open: the opening bar may be put right by then."""
    day = await opened(-2)
    parts = day.engine.wiring.price_parts
    parts.bars.expect("orb", (SBIN,), DataNeed(5), WINDOW)
    day.hears(OPEN - MINUTE)
    await day.goes_on(2)
    await parts.days.tick()
    assert day.at.histories == []
    await day.goes_on(4)
    day.published(3, close="816")
    await day.engine.clock.advance(20)
    for _ in range(3):
        await parts.days.tick()
    assert day.at.histories == [("SBIN", 1)]
    await day.goes_on(5)
    bars = (await day.read(5))[SBIN]
    assert [bars[0].open, bars[0].close] == [Decimal(816), Decimal(815)]
    assert len(day.at.histories) == 1


async def test_polled_minutes_serve_until_history_has_its_say() -> None:
    """A run waits for the first poll after the close; later the history replaces what was polled."""
    day = await opened(4)
    live, clock = day.live, day.engine.clock
    parts = day.engine.wiring.price_parts
    parts.bars.expect("orb", (SBIN,), DataNeed(5), WINDOW)
    for poll in range(6 * 60 + 2):
        price = Decimal(815 + poll // 60)
        quote = Quote(SBIN, price, volume=10 + poll)
        live.take({SBIN: quote}, asked_at=clock.market_now(), poll_s=1.0)
        await clock.advance(1)
    bars = (await day.read(10))[SBIN]
    assert [bars[-1].open, bars[-1].close, bars[-1].volume] == [Decimal(816), Decimal(820), 300]
    assert day.at.histories == [("SBIN", 1)]  # the day's start
    day.published(10, close="818")
    await clock.advance(1)
    live.take({SBIN: quote}, asked_at=clock.market_now(), poll_s=1.0)
    for _ in range(2):
        await parts.days.tick()
    await clock.advance(300)
    live.take({SBIN: quote}, asked_at=clock.market_now(), poll_s=1.0)
    await parts.days.tick()
    assert (await day.read(10))[SBIN][-1].close == Decimal(818)


async def test_prices_that_are_not_proved_are_no_bars() -> None:
    """What may be another instrument's is not decided on: history is asked."""
    day = await opened(-2)
    live, clock = day.live, day.engine.clock
    live.is_streaming = True
    for _ in range(14):
        now = clock.market_now()
        live.hear([PriceTick(SBIN, Decimal(99), now, now, now, 10)])
        await clock.advance(60)
    day.published(10)
    assert (await day.read(10))[SBIN][-1].close == Decimal(815)
    assert day.at.histories == [("SBIN", 1)]
