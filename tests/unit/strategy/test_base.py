"""The small pieces that the strategies share."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.target import Direction
from strategy.base import clock_times, percent_stop


@pytest.mark.row("D7")
@pytest.mark.parametrize(
    ("price", "direction", "percent", "stop"),
    [
        ("402.50", Direction.LONG, "1", "398.47"),
        ("402.50", Direction.SHORT, "1", "406.53"),
        ("4.99", Direction.LONG, "0.1", "4.98"),
        ("4.99", Direction.SHORT, "0.1", "5.00"),
    ],
)
def test_a_percent_stop_is_rounded_away_from_the_price(
    price: str, direction: Direction, percent: str, stop: str
):
    """398.475 becomes 398.47 for a long, 406.525 becomes 406.53 for a short."""
    assert percent_stop(Decimal(price), direction, Decimal(percent)) == Decimal(stop)


@pytest.mark.row("D7")
@given(
    paise=st.integers(5, 10_000_000),
    direction=st.sampled_from([Direction.LONG, Direction.SHORT]),
    tenths=st.integers(1, 100),
)
def test_a_percent_stop_always_loses(paise: int, direction: Direction, tenths: int):
    """However cheap the share, the stop lies on the losing side, at most a paisa too far."""
    price, percent = Decimal(paise) / 100, Decimal(tenths) / 10
    loss = (price - percent_stop(price, direction, percent)) * direction
    assert 0 < loss - price * percent / 100 + Decimal("1e-12") <= Decimal("0.0100001")
    assert loss > 0


def test_times_to_choose_from():
    """Both ends are choices, a quarter of an hour apart."""
    assert clock_times("09:30", "10:15") == ("09:30", "09:45", "10:00", "10:15")
