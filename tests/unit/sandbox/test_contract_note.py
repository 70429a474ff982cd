"""The bill of a day at the simulated brokers, worked by hand."""

from datetime import date
from decimal import Decimal

from sandbox.charge_rates import Kind
from sandbox.charges import Charges
from sandbox.contract_note import Bill, Executed, bill_of
from sandbox.fyers.apps import TARIFF as FYERS
from sandbox.kite.apps import TARIFF as ZERODHA

NOW = date(2026, 11, 23)


def order(
    side: str,
    quantity: int,
    price: str,
    *,
    product: str = "MIS",
    symbol: str = "SBIN",
    is_square_off: bool = False,
) -> Executed:
    return Executed(
        order_id="",
        segment="NSE",
        symbol=symbol,
        isin=f"INE {symbol}",
        product=product,
        kind=Kind.INTRADAY if product == "MIS" else Kind.DELIVERY,
        side=side,
        quantity=quantity,
        value=quantity * Decimal(price),
        is_square_off=is_square_off,
    )


def zerodha(*orders: Executed) -> Bill:
    return bill_of(ZERODHA, NOW, orders)


def test_a_round_trip() -> None:
    """10 bought at 900 and sold at 905: brokerage 2.70 and 2.715, tax 2.256, GST on 5.99."""
    bill = zerodha(order("BUY", 10, "900"), order("SELL", 10, "905"))
    assert bill.segments == {
        "NSE": Charges(
            transaction_tax=Decimal(2),
            exchange=Decimal("0.55"),
            sebi=Decimal("0.02"),
            brokerage=Decimal("5.42"),
            stamp_duty=Decimal("0.27"),
            gst=Decimal("1.08"),
        )
    }
    assert bill.depository == bill.square_off == 0
    assert bill.total == bill.note_total == Decimal("9.34")


def test_zerodhas_example_of_a_mixed_day() -> None:
    """500 bought at 100 and sold at 105, 200 more bought at 110: 12.97 and 20.75 of tax are 34."""
    bill = zerodha(
        order("BUY", 500, "100", product="CNC"),
        order("SELL", 500, "105", product="CNC"),
        order("BUY", 200, "110", product="CNC"),
    )
    note = bill.segments["NSE"]
    assert note.transaction_tax == 34
    assert note.stamp_duty == Decimal("4.80")  # 0.003 % of 50,000 and 0.015 % of 22,000
    assert note.brokerage == Decimal("30.75")  # 15 and 15.75 for the part that is intraday
    assert bill.depository == 0


def test_delivery_that_is_sold_on_its_day_is_intraday() -> None:
    """The product does not decide: the bill is that of an intraday round trip."""
    delivery = zerodha(
        order("BUY", 10, "900", product="CNC"), order("SELL", 10, "905", product="CNC")
    )
    intraday = zerodha(order("BUY", 10, "900"), order("SELL", 10, "905"))
    assert delivery == intraday


def test_an_order_that_is_partly_intraday_has_one_cap() -> None:
    """At Fyers 100 bought at 900 for delivery of which 40 are sold: 20 rupees for each order."""
    bill = bill_of(
        FYERS,
        NOW,
        [order("BUY", 100, "900", product="CNC"), order("SELL", 40, "910", product="CNC")],
    )
    assert bill.segments["NSE"].brokerage == Decimal("30.92")  # 20, and 0.03 % of 36,400
    assert bill.segments["NSE"].stamp_duty == Decimal("9.18")  # of 36,000 and of 54,000


def test_intraday_orders_are_matched_before_older_delivery() -> None:
    """Stamp duty is that of 9,000 delivered (1.35) and 9,100 intraday (0.273), cut to paise."""
    bill = zerodha(
        order("BUY", 10, "900", product="CNC"), order("BUY", 10, "910"), order("SELL", 10, "920")
    )
    assert bill.segments["NSE"].stamp_duty == Decimal("1.62")
    assert bill.segments["NSE"].brokerage == Decimal("5.49")  # 2.73 and 2.76


def test_holdings_that_leave_cost_once_for_a_share_and_day() -> None:
    """Two sales of one share and one of another: twice 13 rupees with GST, beside the note."""
    sales = [
        order("SELL", 5, "1500", product="CNC", symbol="INFY"),
        order("SELL", 5, "1501", product="CNC", symbol="INFY"),
        order("SELL", 9, "405", product="CNC", symbol="ITC"),
        order("BUY", 9, "405", symbol="TCS"),
        order("SELL", 9, "405", symbol="TCS"),
    ]
    bill = zerodha(*sales)
    assert bill.depository == Decimal("30.68")
    assert bill.total == bill.note_total + Decimal("30.68")
    assert bill_of(FYERS, NOW, sales).depository == Decimal("29.50")


def test_the_brokers_own_square_off_costs_for_each_order() -> None:
    """50 rupees and GST for the one order that the broker placed."""
    bill = zerodha(order("BUY", 10, "900"), order("SELL", 10, "905", is_square_off=True))
    assert bill.square_off == Decimal("59.00")
    assert bill.total == Decimal("68.34")


def test_each_exchange_has_a_column() -> None:
    """A share bought at one exchange and sold at the other is delivery at both."""
    sold = Executed("", "BSE", "SBIN", "INE SBIN", "CNC", Kind.DELIVERY, "SELL", 10, Decimal(9050))
    bill = zerodha(order("BUY", 10, "900", product="CNC"), sold)
    assert {name: c.transaction_tax for name, c in bill.segments.items()} == {"NSE": 9, "BSE": 9}
    assert bill.segments["BSE"].exchange == Decimal("0.34")
    assert bill.depository == Decimal("15.34")
