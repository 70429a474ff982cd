"""Minute candles into longer bars."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.bars import aggregate
from core.domain.broker import Candle
from tests.unit.strategy.days import at, bar, bars, window

pytestmark = pytest.mark.row("D7")


def test_bars_are_aligned_to_the_open_and_closed():
    """Fifteen-minute bars start at 09:15; the one that has not closed is not given out."""
    day = [
        bar("09:15", 100, 103, 99, 101),
        bar("09:16", 101, 102, 98, 100),
        *bars("09:17", [100] * 13),
        *bars("09:30", [110] * 14),
    ]
    (only,) = aggregate(day, 15, window(), as_of=at("09:44"))
    assert only == Candle(at("09:15"), Decimal(100), Decimal(103), Decimal(98), Decimal(100), 1500)
    assert len(aggregate(day, 15, window(), as_of=at("09:45"))) == 2


def test_a_gap_gives_no_bar():
    """Five minutes without a candle are no bar; a bar of some minutes is one of those."""
    day = [*bars("09:15", [100] * 5), *bars("09:27", [105, 106])]
    found = aggregate(day, 5, window(), as_of=at("10:00"))
    assert [candle.start for candle in found] == [at("09:15"), at("09:25")]
    assert (found[1].open, found[1].close) == (Decimal(105), Decimal(106))


def test_the_last_bar_closes_with_the_session():
    """The hour from 15:15 ends at 15:30, and what is outside the session counts nowhere."""
    day = [bar("09:00", 1), bar("15:15", 100), bar("15:29", 101), bar("15:30", 999)]
    assert not aggregate(day, 60, window(), as_of=at("15:29"))
    (last,) = aggregate(day, 60, window(), as_of=at("15:30"))
    assert (last.start, last.high) == (at("15:15"), Decimal(101))


@given(
    closes=st.lists(st.integers(1, 1000), max_size=100),
    minutes=st.sampled_from([1, 3, 5, 15]),
    cut=st.integers(0, 120),
)
def test_bars_lose_nothing_and_are_never_revised(closes: list[int], minutes: int, cut: int):
    """Closed bars hold exactly their minutes' volume and extremes; later candles change none."""
    day = bars("09:15", closes)
    as_of = at("09:15") + timedelta(minutes=cut)
    found = aggregate(day, minutes, window(), as_of=as_of)
    ended = (cut // minutes) * minutes
    used = day[:ended]
    assert sum(candle.volume for candle in found) == sum(candle.volume for candle in used)
    assert max((c.high for c in found), default=0) == max((c.high for c in used), default=0)
    assert aggregate(day[:cut], minutes, window(), as_of=as_of) == found
