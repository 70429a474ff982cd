"""What the operator works out of the brokers' books before and after it moves the market."""

from __future__ import annotations

from typing import Any

import pytest

from console.demo.market_events import adverse_price, results_of, stop_of

pytestmark = pytest.mark.row("F2")


def resting(symbol: str, side: str, trigger: float) -> dict[str, Any]:
    row = {"symbol": symbol, "side": side, "trigger_price": trigger}
    return {**row, "status": "TRIGGER PENDING"}


def trade(side: str, quantity: int, price: float, at: str) -> dict[str, Any]:
    return {"symbol": "SBIN", "side": side, "quantity": quantity, "price": price, "at": at}


def test_a_stop_is_one_that_every_account_rests() -> None:
    """The price is beyond the farthest trigger, on the tick, so that it hits the stops of all."""
    one = {"orders": [resting("SBIN", "SELL", 950.0), resting("RELIANCE", "BUY", 1450.0)]}
    two = {"orders": [resting("SBIN", "SELL", 949.0), resting("RELIANCE", "SELL", 1400.0)]}
    stop = stop_of([one, two])
    assert stop is not None
    assert (stop.symbol, stop.trigger_price, stop.price_beyond) == ("SBIN", 949.0, 947.1)
    assert stop_of([one, {"orders": []}]) is None


def test_results_are_those_of_positions_that_ended() -> None:
    """By the money that went in and out between two flat moments; what is open has none yet."""
    trades = [
        trade("BUY", 2, 100.0, "09:31"),
        trade("SELL", 2, 90.0, "09:35"),
        trade("SELL", 2, 95.0, "09:40"),
        trade("BUY", 1, 94.0, "09:41"),
        trade("BUY", 1, 93.5, "09:42"),
        trade("SELL", 2, 93.0, "09:43"),
    ]
    assert results_of(trades, "SBIN") == ["-₹20.00", "+₹2.50"]
    assert results_of(trades[:1], "SBIN") == []


@pytest.mark.parametrize(("quantity", "expected"), [(2, 994.0), (-2, 1006.0)])
def test_an_adverse_price_loses_less_than_a_usual_stop(quantity: int, expected: float):
    """A guard that is set a little below the day's result fires before the position's own stop."""
    assert adverse_price({"quantity": quantity, "last_price": 1000.0}) == expected
