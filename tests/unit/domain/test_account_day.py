"""A position as the day's fills make it, and when nobody knows what it brought (row R5)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.account_day import caught_up
from core.domain.broker import Position
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order, OrderState, Side
from core.domain.truth import Net
from tests.fakes.orders import order_in

pytestmark = pytest.mark.row("R5")
SBIN = InstrumentId("NSE", "SBIN")


def filled(side: Side, quantity: int, price: int) -> Order:
    """Return a fill of SBIN in MIS."""
    order = order_in(OrderState.FILLED)
    request = replace(
        order.request, instrument=SBIN, product=Product.MIS, side=side, quantity=quantity
    )
    return replace(order, request=request, filled_quantity=quantity, average_price=Decimal(price))


def row(quantity: int, bought: int) -> Position:
    """Return the broker's row of SBIN, which closed at 700 yesterday and is at 810 now."""
    return Position(
        SBIN,
        Product.MIS,
        quantity,
        Decimal(800),
        Decimal(810),
        day_buy_quantity=bought,
        previous_close=Decimal(700),
        day_buy_value=Decimal(800) * bought,
    )


def test_fill_without_its_price_has_no_result() -> None:
    """At a price of zero a sale would be a total loss: it is waited for until the row shows it."""
    orders = [filled(Side.BUY, 10, 800), filled(Side.SELL, 4, 0)]
    assert caught_up(row(10, 10), Net(6), orders) is None
    shown = replace(row(6, 10), day_sell_quantity=4, day_sell_value=Decimal(3240))
    assert caught_up(shown, Net(6), orders) == shown


def test_converted_units_are_told_by_the_brokers_row_alone() -> None:
    """By fills and the last close they would have been sold at the close, a loss of 1,000."""
    orders = [filled(Side.BUY, 10, 800)]
    gone = row(0, 0)
    assert caught_up(gone, Net(0), orders) == gone
    more = [*orders, filled(Side.BUY, 5, 800)]
    assert caught_up(gone, Net(5), more) is None
