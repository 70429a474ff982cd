"""Charges by hand: each example's arithmetic stands beside it, from the rates in force on its day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.domain.charges import (
    Charges,
    Execution,
    Kind,
    charges_of,
    closing_charges,
    kind_of,
    packaged_rates,
)
from core.domain.charges.rates import read_rates
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side

SBIN = InstrumentId("NSE", "SBIN")
SBIN_BSE = InstrumentId("BSE", "SBIN")
FUTURE = InstrumentId("NFO", "NIFTY26APRFUT")
OPTION = InstrumentId("NFO", "NIFTY2640725000CE")
BEFORE = date(2026, 3, 31)
DAY = date(2026, 4, 1)
"""The day from which futures and options pay more tax."""
ZERODHA, FYERS = "zerodha", "fyers"


def done(
    side: Side,
    quantity: int,
    price: str,
    instrument: InstrumentId = SBIN,
    product: Product = Product.MIS,
    order: str = "",
) -> Execution:
    """Return an execution, of an order of its own unless one is named."""
    order = order or f"{side}{quantity}{price}{instrument}"
    return Execution(order, instrument, product, side, quantity, Decimal(price))


def lines(charges: Charges) -> list[str]:
    """Return brokerage, STT, exchange, SEBI, GST, stamp, dp and total as text."""
    assert not charges.unknown
    amounts = (
        charges.brokerage,
        charges.stt,
        charges.exchange,
        charges.sebi,
        charges.gst,
        charges.stamp,
        charges.dp,
        charges.known,
    )
    return [f"{amount:.2f}" for amount in amounts]


@pytest.mark.parametrize("broker", [ZERODHA, FYERS])
def test_intraday_round_trip_at_the_cap(broker: str) -> None:
    """100 at 1,000, sold at 1,010: values 1,00,000 and 1,01,000.

    Brokerage 0.03 % is 30 and 30.30, capped at 20 each. STT 0.025 % of 100 at the average of 1,005
    is 25.125, so 25. Exchange 0.00307 % of 2,01,000 is 6.1707; SEBI 0.0001 % is 0.201. GST 18 % of
    40 + 6.17 + 0.20 is 8.3466. Stamp 0.003 % of 1,00,000 is 3.
    """
    day = [done(Side.BUY, 100, "1000"), done(Side.SELL, 100, "1010")]
    expected = ["40.00", "25.00", "6.17", "0.20", "8.35", "3.00", "0.00", "82.72"]
    assert lines(charges_of(day, broker, DAY)) == expected


def test_small_order_pays_its_percent() -> None:
    """10 at 500, sold at 505: values 5,000 and 5,050, below the cap.

    Brokerage 1.50 and 1.515. STT 0.025 % of 5,025 is 1.25625, so 1. Exchange on 10,050 is
    0.308535; SEBI 0.01005. GST 18 % of 3.34 is 0.6012. Stamp 0.15.
    """
    day = [done(Side.BUY, 10, "500"), done(Side.SELL, 10, "505")]
    expected = ["3.02", "1.00", "0.31", "0.01", "0.60", "0.15", "0.00", "5.09"]
    assert lines(charges_of(day, FYERS, DAY)) == expected


def test_delivery_buy() -> None:
    """10 at 1,498 in CNC: value 14,980, no brokerage at Zerodha.

    STT 0.1 % is 14.98, so 15. Exchange 0.459886; SEBI 0.01498. GST 18 % of 0.47 is 0.0846. Stamp
    0.015 % is 2.247, cut to 2.24.
    """
    day = [done(Side.BUY, 10, "1498", product=Product.CNC)]
    expected = ["0.00", "15.00", "0.46", "0.01", "0.08", "2.24", "0.00", "17.79"]
    assert lines(charges_of(day, ZERODHA, DAY)) == expected


def test_delivery_sale_out_of_the_holdings() -> None:
    """10 at 1,500: value 15,000. STT 15. Exchange 0.4605; SEBI 0.015.

    Zerodha: GST 18 % of 0.48 is 0.0864; the depository's 13 with GST are 15.34. Fyers: brokerage
    0.3 % is 45, capped at 20; GST 18 % of 20.48 is 3.6864; 12.50 with GST are 14.75.
    """
    day = [done(Side.SELL, 10, "1500", product=Product.CNC)]
    expected = ["0.00", "15.00", "0.46", "0.02", "0.09", "0.00", "15.34", "30.91"]
    assert lines(charges_of(day, ZERODHA, DAY)) == expected
    expected = ["20.00", "15.00", "0.46", "0.02", "3.69", "0.00", "14.75", "53.92"]
    assert lines(charges_of(day, FYERS, DAY)) == expected


@pytest.mark.parametrize(
    ("day", "stt", "total"), [(BEFORE, "325.00", "478.73"), (DAY, "813.00", "966.73")]
)
def test_future_before_and_after_the_new_tax(day: date, stt: str, total: str) -> None:
    """65 at 25,000, sold at 25,010: values 16,25,000 and 16,25,650.

    Brokerage 20 and 20. STT of 16,25,650: 0.02 % is 325.13 until 31 March 2026, 0.05 % is 812.825
    from then on. Exchange 0.00183 % of 32,50,650 is 59.486895; SEBI 3.25065. GST 18 % of
    40 + 59.49 + 3.25 is 18.4932. Stamp 0.002 % of 16,25,000 is 32.50.
    """
    trip = [done(side, 65, price, FUTURE, Product.NRML) for side, price in _trip("25000", "25010")]
    expected = ["40.00", stt, "59.49", "3.25", "18.49", "32.50", "0.00", total]
    assert lines(charges_of(trip, ZERODHA, day)) == expected


@pytest.mark.parametrize(
    ("broker", "day", "stt", "exchange", "gst", "total"),
    [
        (ZERODHA, BEFORE, "8.00", "5.08", "8.12", "61.40"),
        (ZERODHA, DAY, "12.00", "5.08", "8.12", "65.40"),
        (FYERS, DAY, "12.00", "6.37", "8.35", "66.92"),
    ],
)
def test_option(broker: str, day: date, stt: str, exchange: str, gst: str, total: str) -> None:
    """65 at 100, sold at 120: premiums 6,500 and 7,800.

    Brokerage is 20 flat, twice. STT of 7,800: 0.1 % is 7.80 before, 0.15 % is 11.70 after. Exchange
    0.03553 % of 14,300 is 5.08079, the 0.009 % of Fyers' clearing member 1.287 more. SEBI 0.0143.
    GST 18 % of 45.09 is 8.1162, at Fyers 18 % of 46.38 is 8.3484. Stamp 0.195, cut to 0.19.
    """
    trip = [done(side, 65, price, OPTION) for side, price in _trip("100", "120")]
    expected = ["40.00", stt, exchange, "0.01", gst, "0.19", "0.00", total]
    assert lines(charges_of(trip, broker, day)) == expected


def _trip(bought: str, sold: str) -> list[tuple[Side, str]]:
    return [(Side.BUY, bought), (Side.SELL, sold)]


def test_executions_of_one_order_share_its_brokerage() -> None:
    """Three executions of one order are 20, three orders that make the same are 60."""
    slices = [done(Side.BUY, 65, "100", OPTION, order="1") for _ in range(3)]
    assert charges_of(slices, ZERODHA, DAY).brokerage == 20
    orders = [done(Side.BUY, 65, "100", OPTION, order=name) for name in "123"]
    assert charges_of(orders, ZERODHA, DAY).brokerage == 60
    # 40,000 and 40,000 of one order: 0.03 % of 80,000 is 24, capped; apart 12 and 12.
    shares = [done(Side.BUY, 400, "100", order="1"), done(Side.BUY, 400, "100", order="1")]
    assert charges_of(shares, ZERODHA, DAY).brokerage == 20


def test_delivery_sold_again_on_the_day_is_intraday() -> None:
    """100 bought in CNC at 100 and 40 of them sold at 110, at BSE: 40 intraday, 60 delivery.

    Intraday 4,000 and 4,400: brokerage 1.20 and 1.32; stamp 0.12. Delivery 6,000: stamp 0.90. The
    average price is 14,400 / 140: STT 0.025 % of 40 at it is 1.0286, 0.1 % of 60 is 6.1714, in all
    7.20, so 7. Exchange 0.00375 % of 14,400 is 0.54; SEBI 0.0144; GST 18 % of 3.07 is 0.5526. No
    shares leave.
    """
    day = [
        done(Side.BUY, 100, "100", SBIN_BSE, Product.CNC),
        done(Side.SELL, 40, "110", SBIN_BSE, Product.CNC),
    ]
    expected = ["2.52", "7.00", "0.54", "0.01", "0.55", "1.02", "0.00", "11.64"]
    assert lines(charges_of(day, ZERODHA, DAY)) == expected


def test_order_that_is_partly_intraday_has_one_cap() -> None:
    """Fyers: 1,000 bought at 100 in one order, 500 sold again: its brokerage is 20, not 35.

    Intraday 50,000 is 15, delivery 50,000 is 150 at 0.3 %: together capped at 20. The sale is 15.
    """
    day = [
        done(Side.BUY, 1000, "100", product=Product.CNC),
        done(Side.SELL, 500, "100", product=Product.CNC),
    ]
    assert charges_of(day, FYERS, DAY).brokerage == 35


def test_depository_charges_once_for_a_share_and_day() -> None:
    """Three sales of one share, one of them at the other exchange, are one debit; two shares two."""
    sales = [
        done(Side.SELL, 1, "100", product=Product.CNC),
        done(Side.SELL, 2, "100", product=Product.CNC),
        done(Side.SELL, 3, "100", SBIN_BSE, Product.CNC),
    ]
    assert charges_of(sales, ZERODHA, DAY).dp == Decimal("15.34")
    sales.append(done(Side.SELL, 1, "100", InstrumentId("NSE", "INFY"), Product.CNC))
    assert charges_of(sales, ZERODHA, DAY).dp == Decimal("30.68")


@pytest.mark.parametrize(
    ("instrument", "product", "broker", "day", "what"),
    [
        (InstrumentId("MCX", "GOLD26APRFUT"), Product.NRML, ZERODHA, DAY, "MCX:GOLD26APRFUT"),
        (SBIN, Product.NRML, ZERODHA, DAY, "NSE:SBIN NRML"),
        (InstrumentId("NFO", "NIFTY"), Product.NRML, ZERODHA, DAY, "NFO:NIFTY"),
        (SBIN, Product.MIS, "other", DAY, "no brokerage rate of intraday at NSE with other"),
        (SBIN, Product.MIS, ZERODHA, date(2020, 12, 31), "on 2020-12-31"),
        (SBIN, Product.CNC, "other", DAY, "no dp rate with other"),
    ],
)
def test_unknown_is_said_and_never_nothing(
    instrument: InstrumentId, product: Product, broker: str, day: date, what: str
) -> None:
    """An exchange, product, broker or day without rates makes no total; what is known still adds."""
    strange = done(Side.SELL, 1, "100", instrument, product)
    known = done(Side.BUY, 10, "1498", InstrumentId("NSE", "INFY"), Product.CNC)
    charges = charges_of([strange], broker, day)
    assert charges.total is None
    assert any(what in one for one in charges.unknown)
    together = charges_of([strange, known], broker, day)
    assert together.total is None
    assert together.known >= charges_of([known], broker, day).known


def test_closing_what_is_held_costs_what_it_adds() -> None:
    """Selling 100 at 1,010 adds 20, 25 of STT and the rest of the round trip; CNC may give back.

    The whole trip is 82.72, the buy of 1,00,000 alone 20 + 3.07 + 0.10 + 4.17 + 3 = 30.34, so
    closing is 52.38. Delivery of 1,00,000 pays 100 STT and 15 stamp, which the sale on the same day
    makes 25 and 3.
    """
    bought, sold = done(Side.BUY, 100, "1000"), done(Side.SELL, 100, "1010")
    assert closing_charges([bought], [sold], ZERODHA, DAY).total == Decimal("52.38")
    shares = [done(Side.BUY, 100, "1000", product=Product.CNC)]
    again = [done(Side.SELL, 100, "1010", product=Product.CNC)]
    closing = closing_charges(shares, again, ZERODHA, DAY)
    assert (closing.stt, closing.stamp) == (Decimal(-75), Decimal(-12))


def test_kinds() -> None:
    """A share whose name ends like an option is a share; what is no future or option has no kind."""
    assert kind_of(InstrumentId("NSE", "RELIANCE"), Product.MIS) is Kind.INTRADAY
    assert kind_of(InstrumentId("BFO", "SENSEX2640283000PE"), Product.MIS) is Kind.OPTION
    assert kind_of(InstrumentId("BFO", "SENSEX26APRFUT"), Product.NRML) is Kind.FUTURE
    assert kind_of(InstrumentId("CDS", "USDINR26APRFUT"), Product.NRML) is None


def test_committed_rates_are_whole() -> None:
    """Every kind has all its rates at both exchanges and both brokers, on each day that changes."""
    rates = packaged_rates()
    assert [row for row in rates.rows if row.effective < date(2021, 1, 1)] == []
    for day in {row.effective for row in rates.rows}:
        for broker in (ZERODHA, FYERS):
            for instrument, product in (
                (SBIN, Product.MIS),
                (SBIN_BSE, Product.MIS),
                (SBIN, Product.CNC),
                (SBIN_BSE, Product.CNC),
                (FUTURE, Product.NRML),
                (OPTION, Product.MIS),
                (InstrumentId("BFO", "SENSEX26APRFUT"), Product.NRML),
                (InstrumentId("BFO", "SENSEX2640283000PE"), Product.NRML),
            ):
                one = done(Side.SELL, 1, "100", instrument, product)
                assert charges_of([one], broker, day).unknown == ()


@pytest.mark.parametrize(
    "row",
    [
        "2026-04-01,stt,any,any,option,0,,,published,a source",
        "2026-04-01,stt,any,any,option,,,,published,a source",
        "2026-04-01,stt,any,any,option,0,0.1,,published,",
        "2026-04-01,stt,any,any,option,0,0.1,,perhaps,a source",
        "1 April,stt,any,any,option,0,0.1,,published,a source",
        "2026-04-01,stt,any,any,option,0,a lot,,published,a source",
    ],
)
def test_malformed_rates_are_refused(row: str) -> None:
    """A rate with half its numbers, without a source or a date is an error that names its line."""
    head = "effective,charge,broker,exchange,segment,buy_percent,sell_percent,rupees,certainty"
    with pytest.raises(ValueError, match="line 2 of the rates"):
        read_rates(f"{head},source\n{row}\n")
