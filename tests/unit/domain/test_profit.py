"""Today's profit: from the day's fills and the previous close, in two parts that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.adapters.fields import rows_of
from core.adapters.zerodha import mapping
from core.domain.broker import BrokerTrade, Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from core.domain.profit import Profit, days_profit
from core.domain.sessions import IST

SBIN = InstrumentId("NSE", "SBIN")
GOLD = {
    "tradingsymbol": "GOLDGUINEA17DECFUT",
    "exchange": "MCX",
    "product": "NRML",
    "quantity": 0,
    "overnight_quantity": 3,
    "multiplier": 1,
    "average_price": 0,
    "close_price": 23232,
    "last_price": 23355,
    "pnl": 801,
    "m2m": 276,
    "unrealised": 801,
    "realised": 0,
    "day_buy_quantity": 1,
    "day_buy_value": 23388,
    "day_sell_quantity": 4,
    "day_sell_value": 93360,
}
LEAD = {
    "tradingsymbol": "LEADMINI17DECFUT",
    "exchange": "MCX",
    "product": "NRML",
    "quantity": 1,
    "multiplier": 1000,
    "average_price": 161.05,
    "close_price": 0,
    "last_price": 161.05,
    "unrealised": 0,
    "realised": 0,
    "day_buy_quantity": 1,
    "day_buy_value": 161050,
    "day_sell_quantity": 0,
    "day_sell_value": 0,
}
COVER = {
    "tradingsymbol": "SBIN",
    "exchange": "NSE",
    "product": "CO",
    "quantity": 0,
    "multiplier": 1,
    "average_price": 0,
    "close_price": 0,
    "last_price": 308.4,
    "unrealised": -2,
    "realised": 0,
    "day_buy_quantity": 1,
    "day_buy_value": 311,
    "day_sell_quantity": 1,
    "day_sell_value": 309,
}
"""The net rows of Kite's published reply (facts/kite.md 3.4)."""


def kite(row: dict[str, object]) -> Position:
    """Return a row of Kite's as the adapter reads it."""
    return mapping.position(
        rows_of(json.loads(json.dumps([row]), parse_float=Decimal), "positions")[0]
    )


def held(quantity: int, **fields: object) -> Position:
    """Return a position of SBIN at 915."""
    base = Position(SBIN, Product.NRML, quantity, Decimal(900), Decimal(915))
    return replace(base, **fields)  # type: ignore[arg-type]


def trade(side: Side, quantity: int, price: int) -> BrokerTrade:
    """Return an execution of SBIN."""
    return BrokerTrade("1", "1", SBIN, side, Product.NRML, quantity, Decimal(price))


def test_published_reply_makes_what_the_day_made() -> None:
    """274 in all, all of it realised: what Kite's own fields call 799 unrealised on flat rows."""
    profits = [days_profit(kite(row)) for row in (GOLD, LEAD, COVER)]
    assert profits == [
        Profit(Decimal("276.00"), Decimal("0.00")),
        Profit(Decimal("0.00"), Decimal("0.00")),
        Profit(Decimal("-2.00"), Decimal("0.00")),
    ]


def test_carried_position_counts_from_the_previous_close() -> None:
    """10 carried from 900, closed at 910 yesterday, now 915: today's profit is 50, not 150."""
    position = held(10, previous_close=Decimal(910), unrealised=Decimal(150))
    assert days_profit(position) == Profit(Decimal(0), Decimal(50))
    short = held(-10, previous_close=Decimal(910))
    assert days_profit(short) == Profit(Decimal(0), Decimal(-50))


def test_part_sold_today_is_realised_against_the_close() -> None:
    """4 of 10 carried were sold at 920: 40 taken, and 30 open on the six that are left."""
    trades = [trade(Side.SELL, 4, 920)]
    position = held(6, previous_close=Decimal(910), day_sell_quantity=4)
    assert days_profit(position, trades) == Profit(Decimal(40), Decimal(30))


def test_flip_within_the_day() -> None:
    """Long 10 at 900, sold 15 at 910: 100 taken on ten, the five short lose 25 at 915."""
    position = held(
        -5,
        day_buy_quantity=10,
        day_buy_value=Decimal(9000),
        day_sell_quantity=15,
        day_sell_value=Decimal(13650),
    )
    assert days_profit(position) == Profit(Decimal(100), Decimal(-25))


def test_unknown_close_is_said_and_the_brokers_figures_stand() -> None:
    """Without the previous close profit counts from the entry, and says so."""
    position = held(10, realised=Decimal(7), unrealised=Decimal(150))
    assert days_profit(position) == Profit(Decimal(7), Decimal(150), is_since_entry=True)


def test_trades_that_do_not_explain_the_position_are_not_guessed_with() -> None:
    """Fills that have not arrived yet leave the broker's figures, marked."""
    position = held(10, day_buy_quantity=10, unrealised=Decimal(150))
    assert days_profit(position, [trade(Side.BUY, 4, 900)]).is_since_entry


def test_units_bought_again_leave_what_was_booked_as_it_was() -> None:
    """10 at 900 sold at 910: 100 booked. 10 more at 905 cost 905, and are 100 ahead at 915."""
    times = [datetime(2026, 11, 23, 10, minute, tzinfo=IST) for minute in range(3)]
    deals = ((Side.BUY, 900), (Side.SELL, 910), (Side.BUY, 905))
    trades = [
        replace(trade(side, 10, price), traded_at=at)
        for (side, price), at in zip(deals, times, strict=True)
    ]
    position = held(10, day_buy_quantity=20, day_sell_quantity=10, average_price=Decimal("902.5"))
    profit = days_profit(position, reversed(trades))
    assert profit == Profit(Decimal(100), Decimal(100))
    assert profit.average == Decimal(905)


def test_delivery_sale_is_no_short() -> None:
    """Six shares out of the holdings, sold at 920 after a close of 910: 60, whatever they do now."""
    holding = Holding(SBIN, 10, 0, Decimal(800), Decimal(915), previous_close=Decimal(910))
    position = held(-6, product=Product.CNC, day_sell_quantity=6, day_sell_value=Decimal(5520))
    assert days_profit(position, (), [holding]) == Profit(Decimal(60), Decimal(0))


@given(
    carried=st.integers(-50, 50),
    fills=st.lists(
        st.tuples(st.sampled_from(Side), st.integers(1, 30), st.integers(80, 120)), max_size=6
    ),
    close=st.integers(80, 120),
    last=st.integers(80, 120),
)
def test_parts_add_up_to_the_cash_of_the_day(
    carried: int, fills: list[tuple[Side, int, int]], close: int, last: int
) -> None:
    """Realised and unrealised are together what selling everything at the last price would make."""
    trades = [trade(side, units, price) for side, units, price in fills]
    bought = sum(one.quantity for one in trades if one.side is Side.BUY)
    sold = sum(one.quantity for one in trades if one.side is Side.SELL)
    quantity = carried + bought - sold
    position = held(
        quantity,
        last_price=Decimal(last),
        previous_close=Decimal(close),
        day_buy_quantity=bought,
        day_sell_quantity=sold,
    )
    cash = sum(-side.sign * units * price for side, units, price in fills)
    profit = days_profit(position, trades)
    assert profit.total == cash - carried * close + quantity * last
    if quantity == 0:
        assert profit.unrealised == 0
