"""The synthetic market: reproducible, continuous, and worth trading every day."""

from datetime import date, time, timedelta
from itertools import pairwise

import pytest

from sandbox.following import FollowedBars
from sandbox.futures import expiry_of, futures_on
from sandbox.instruments import INSTRUMENTS, Instrument
from sandbox.listing import find, find_token
from sandbox.prices import Bar, SyntheticBars
from sandbox.sessions import is_trading_day, segment_session

DAYS = [date(2026, 10, 1) + timedelta(days=number) for number in range(60)]
DAYS += [date(2021, 5, 3) + timedelta(days=number) for number in range(30)]
TRADING_DAYS = [day for day in DAYS if is_trading_day(day)]


def bars_of(symbol: str, day: date) -> tuple[Bar, ...]:
    instrument = find(symbol)
    assert instrument is not None
    return SyntheticBars().day(instrument, day)


OWN = [instrument for instrument in INSTRUMENTS if not instrument.follows]
"""Those with prices of their own."""


@pytest.mark.parametrize("instrument", OWN, ids=lambda item: item.symbol)
def test_bars_are_sound(instrument: Instrument) -> None:
    """Every day has a bar a minute, each within its range and on the tick; closed days have none."""
    for day in DAYS:
        bars = SyntheticBars().day(instrument, day)
        if not is_trading_day(day):
            assert bars == ()
            continue
        opened, closed = segment_session(instrument.hours, day)
        starts = [bar.start for bar in bars]
        assert starts == [opened + n * timedelta(minutes=1) for n in range(len(bars))]
        assert starts[-1] + timedelta(minutes=1) == closed
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            steps = bar.close / instrument.tick_size
            assert steps == pytest.approx(round(steps), abs=1e-6)


def test_a_day_follows_the_day_before() -> None:
    """No overnight gap leaves the next day's price band."""
    for instrument in OWN:
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


def test_a_twin_costs_what_its_share_costs() -> None:
    """A share at BSE has the bars of NSE."""
    twin, share = find("BSE:SBIN"), find("SBIN")
    assert twin is not None
    assert share is not None
    source = FollowedBars(SyntheticBars())
    for day in TRADING_DAYS[:5]:
        prices = [(bar.start, bar.close) for bar in source.day(twin, day)]
        assert prices == [(bar.start, bar.close) for bar in source.day(share, day)]


@pytest.mark.parametrize("key", ["NFO:NIFTY26DECFUT", "NFO:SBIN26DECFUT"])
def test_a_future_follows_its_underlying_and_goes_on_after_it(key: str) -> None:
    """Its bars are above the underlying's by the cost of carry, and reach 15:40."""
    future = find(key)
    assert future is not None
    assert future.expiry == date(2026, 12, 29)
    underlying = find(future.follows)
    assert underlying is not None
    source = FollowedBars(SyntheticBars())
    for day in (date(2026, 11, 23), date(2026, 12, 29)):
        bars, below = source.day(future, day), source.day(underlying, day)
        assert bars[-1].start.time() == time(15, 39)
        carry = bars[100].close / below[100].close - 1
        days = (future.expiry - day).days
        assert carry == pytest.approx(0.06 * days / 365, abs=1e-4)
        for bar in bars:
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_contracts_end_on_a_trading_day() -> None:
    """The last Tuesday of a month since September 2025, Thursday before; a holiday moves it."""
    assert expiry_of(2026, 11) == date(2026, 11, 23)
    assert expiry_of(2026, 12) == date(2026, 12, 29)
    assert expiry_of(2021, 5) == date(2021, 5, 27)
    near = [item.expiry for item in futures_on(date(2026, 11, 25)) if item.follows == "SBIN"]
    assert near == [date(2026, 12, 29), date(2027, 1, 25), date(2027, 2, 23)]
    for key in ("NFO:NIFTY26DECFUT", "SBIN", "BSE:SBIN"):
        found = find(key)
        assert found is not None
        assert find_token(found.instrument_token) == found
    for key in ("NFO:NOBODY26DECFUT", "NFO:NIFTY26XXXFUT", "NOBODY"):
        assert find(key) is None
