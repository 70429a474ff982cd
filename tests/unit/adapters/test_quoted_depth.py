"""What waits at a price, as both brokers' quotes say it; what cannot be read costs no price."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.adapters.fields import Row
from core.adapters.fyers import mapping as fyers
from core.adapters.zerodha import mapping as zerodha
from core.domain.broker import PriceLevel
from tests.fakes.brokers import SBIN

pytestmark = pytest.mark.row("F6")
FULL = {
    "buy": [
        {"price": Decimal("799.95"), "quantity": 250, "orders": 2},
        {"price": 0, "quantity": 0, "orders": 0},
    ],
    "sell": [{"price": Decimal("800.05"), "quantity": 500, "orders": 3}],
}


def test_depth_of_a_full_quote_is_read() -> None:
    """Prices and units, best first, without the empty levels."""
    found = zerodha.quote(SBIN, Row({"last_price": 800, "depth": FULL}))
    assert found.bids == (PriceLevel(Decimal("799.95"), 250),)
    assert found.asks == (PriceLevel(Decimal("800.05"), 500),)


@pytest.mark.parametrize("depth", [None, {}, [], {"buy": None}, {"buy": [{"price": "much"}]}])
def test_unreadable_depth_is_none_and_the_price_stays(depth: object) -> None:
    """Orders of live accounts are decided by the price: no other field may take it away."""
    found = zerodha.quote(SBIN, Row({"last_price": 800, "depth": depth}))
    assert (found.last_price, found.bids, found.asks) == (Decimal(800), (), ())


def test_best_prices_of_a_short_quote_are_read() -> None:
    """Fyers says no units; what is no number is nothing."""
    found = fyers.quote(SBIN, Row({"lp": 800, "bid": Decimal("799.95"), "ask": Decimal("800.05")}))
    assert found.bids == (PriceLevel(Decimal("799.95"), None),)
    assert found.asks == (PriceLevel(Decimal("800.05"), None),)
    odd = fyers.quote(SBIN, Row({"lp": 800, "bid": "much", "ask": 0}))
    assert (odd.last_price, odd.bids, odd.asks) == (Decimal(800), (), ())
