"""The synthetic market: reproducible, continuous, and worth trading every day."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from sandbox.instruments import INSTRUMENTS, Instrument, find
from sandbox.prices import Bar, SyntheticBars
from sandbox.sessions import is_trading_day, session

DAYS = [date(2026, 10, 1) + timedelta(days=number) for number in range(60)]
DAYS += [date(2021, 5, 3) + timedelta(days=number) for number in range(30)]
TRADING_DAYS = [day for day in DAYS if is_trading_day(day)]


def bars_of(symbol: str, day: date) -> tuple[Bar, ...]:
    instrument = find(symbol)
    assert instrument is not None
    return SyntheticBars().day(instrument, day)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda item: item.symbol)
def test_bars_are_sound(instrument: Instrument) -> None:
    """Every day has a bar a minute, each within its range and on the tick; closed days have none."""
    for day in DAYS:
        bars = SyntheticBars().day(instrument, day)
        if not is_trading_day(day):
            assert bars == ()
            continue
        opened, closed = session(day, index=instrument.is_index)
        starts = [bar.start for bar in bars]
        assert starts == [opened + n * timedelta(minutes=1) for n in range(len(bars))]
        assert starts[-1] + timedelta(minutes=1) == closed
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            steps = bar.close / instrument.tick_size
            assert steps == pytest.approx(round(steps), abs=1e-6)


def test_a_day_follows_the_day_before() -> None:
    """No overnight gap leaves the next day's price band."""
    for instrument in INSTRUMENTS:
        closes = [SyntheticBars().day(instrument, day) for day in TRADING_DAYS[:30]]
        for before, after in pairwise(closes):
            assert after[0].open == pytest.approx(before[-1].close, rel=0.03)


@pytest.mark.parametrize("symbol", ["SBIN", "RELIANCE"])
def test_the_opening_range_breaks_every_day(symbol: str) -> None:
    """A breakout and a crossover strategy both find a trade between 09:30 and 09:41.

    A bar closes outside the range of 09:15 to 09:30, and the five-minute average crosses the
    fifteen-minute one.
    """
    for day in TRADING_DAYS:
        bars = bars_of(symbol, day)
        high = max(bar.high for bar in bars[:15])
        low = min(bar.low for bar in bars[:15])
        assert any(bar.close > high or bar.close < low for bar in bars[15:25]), day
        closes = [bar.close for bar in bars]
        ahead = [mean(closes[n - 4 : n + 1]) > mean(closes[n - 14 : n + 1]) for n in range(14, 26)]
        assert len(set(ahead)) == 2, day


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
