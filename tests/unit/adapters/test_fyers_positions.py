"""A Fyers position's average is that of what is open, whatever a part of it was closed at."""

from __future__ import annotations

from decimal import Decimal

from core.adapters.fields import Row
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.fyers.mapping import position


def test_average_is_that_of_the_open_side() -> None:
    """``netAvg`` is what the net quantity has cost after what was realised (facts/fyers.md 3)."""
    row = {
        "symbol": "NSE:SBIN-EQ",
        "netQty": 2,
        "productType": "INTRADAY",
        "avgPrice": Decimal("100.0"),
        "netAvg": Decimal("95.0"),
        "ltp": Decimal("101.0"),
        "realized_profit": Decimal("10.0"),
        "unrealized_profit": Decimal("2.0"),
    }
    shown = position(Row(row), SymbolBook({}))
    assert (shown.quantity, shown.average_price) == (2, Decimal("100.0"))
