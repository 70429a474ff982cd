"""How many units a size means: rounded down, to whole lots, never below nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.sizing import units_for
from core.domain.views import SizeKind

pytestmark = pytest.mark.row("D4")

LAKH = Decimal(100_000)
SHARE, QUANTITY = SizeKind.CAPITAL_SHARE, SizeKind.QUANTITY


@pytest.mark.parametrize(
    ("value", "multiplier", "price", "lot", "units"),
    [
        ("10", "1", "400", 1, 25),  # 10,000 / 400 = 25 exactly
        ("10", "1", "400.05", 1, 24),  # 24.997
        ("10", "0.5", "400", 1, 12),  # 12.5
        ("10", "2", "400", 25, 50),  # two lots exactly
        ("10", "1.9", "400", 25, 25),  # 47.5 units are one lot of 25
        ("10", "1", "400", 75, 0),  # 25 units do not make a lot
        ("0.1", "1", "400", 1, 0),  # 100 rupees buy none
        ("100", "1", "0.05", 1, 2_000_000),
    ],
)
def test_a_share_of_capital_is_rounded_down_to_whole_lots(
    value: str, multiplier: str, price: str, lot: int, units: int
):
    """A lakh's share never buys more than its money, and only whole lots."""
    found = units_for(
        SHARE,
        Decimal(value),
        Decimal(multiplier),
        price=Decimal(price),
        capital=LAKH,
        lot_size=lot,
    )
    assert found == units


@pytest.mark.parametrize(
    ("value", "multiplier", "lot", "units"),
    [("7", "1", 1, 7), ("7", "1.5", 1, 10), ("7", "0.1", 1, 0), ("80", "1", 25, 75)],
)
def test_a_fixed_quantity_needs_no_price_and_no_capital(
    value: str, multiplier: str, lot: int, units: int
):
    """Quantity times multiplier, rounded down to whole lots; nothing else matters."""
    found = units_for(
        QUANTITY, Decimal(value), Decimal(multiplier), price=Decimal(0), capital=None, lot_size=lot
    )
    assert found == units


@pytest.mark.parametrize(
    ("capital", "price"), [(None, "400"), (LAKH, "0"), (LAKH, "-1"), (Decimal(-5), "400")]
)
def test_an_unknown_or_senseless_figure_buys_nothing(capital: Decimal | None, price: str):
    """No capital, no price or a debt: no units, never a negative number of them."""
    found = units_for(
        SHARE, Decimal(10), Decimal(1), price=Decimal(price), capital=capital, lot_size=1
    )
    assert found == 0


@given(
    value=st.decimals("0.1", 100, places=1),
    multiplier=st.decimals("0.01", 100, places=2),
    price=st.decimals("0.05", 100_000, places=2),
    capital=st.decimals(0, 10_000_000, places=2),
    lot=st.integers(1, 5_000),
)
def test_a_share_is_the_largest_that_its_money_buys(
    value: Decimal, multiplier: Decimal, price: Decimal, capital: Decimal, lot: int
):
    """Whole lots, affordable, and one lot more would not be."""
    money = capital * value / 100 * multiplier
    units = units_for(SHARE, value, multiplier, price=price, capital=capital, lot_size=lot)
    assert units % lot == 0
    assert units * price <= money + Decimal("0.001")
    assert (units + lot) * price > money - Decimal("0.001")
