"""A stop that is of prices before a split or a bonus is told from one that is hit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.rebased import is_of_other_scale, why_not_closed

pytestmark = pytest.mark.row("R7")


@pytest.mark.parametrize(
    ("held", "close", "expected"),
    [
        (10, "160", True),  # 1:5
        (10, "400", True),  # 1:1
        (10, "719.99", True),
        (10, "720", False),  # ten percent: no closing auction does that, but nothing proves more
        (10, "790", False),  # it closed below its stop: a gap, and the stop protects
        (10, "820", False),
        (-10, "1600", True),  # a consolidation
        (-10, "820", False),
        (-10, "700", False),
        (10, "0", False),
    ],
)
def test_scale_is_told_by_the_last_close(held: int, close: str, *, expected: bool) -> None:
    """The exchange names the last close in today's prices; a gap of the market is none of these."""
    assert is_of_other_scale(Decimal(800), held, Decimal(close)) is expected


def test_its_prices_are_written_as_all_are() -> None:
    """In rupees, with the groups of India."""
    words = why_not_closed(Decimal("1491.5"), Decimal(125000))
    assert "its stop at ₹1,491.50 is" in words
    assert "today ₹1,25,000.00:" in words
