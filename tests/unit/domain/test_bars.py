"""Bars as text are the same bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.bars import bars_in, text_of_bars
from core.domain.broker import Candle
from core.domain.sessions import IST

PRICES = st.decimals(min_value=0, max_value=10**7, allow_nan=False, allow_infinity=False)
STARTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made IST
    lambda moment: moment.replace(tzinfo=IST, fold=0)
)
BARS = st.lists(
    st.builds(Candle, STARTS, PRICES, PRICES, PRICES, PRICES, st.integers(0, 10**12)), max_size=5
)


@given(BARS)
def test_text_gives_the_same_bars(bars: list[Candle]) -> None:
    """To the last digit, trailing zeros too, and in the market's own zone."""
    found = bars_in(text_of_bars(bars))
    assert list(found) == bars
    assert [str(one) for one in found] == [str(one) for one in bars]
    assert all(one.start.tzinfo is IST for one in found)


def test_bars_of_another_zone_are_told_in_the_markets() -> None:
    """The instant is what counts."""
    start = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
    price = Decimal("815.10")
    (found,) = bars_in(text_of_bars([Candle(start, price, price, price, price, 7)]))
    assert found.start == start and found.start.utcoffset() == timedelta(hours=5, minutes=30)
