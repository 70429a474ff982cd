"""Charges of single orders at the simulated brokers, worked by hand from the published rates."""

from datetime import date
from decimal import Decimal

import pytest

from sandbox.charge_rates import Kind
from sandbox.charges import Charges, charges_of
from sandbox.fyers.apps import TARIFF as FYERS
from sandbox.kite.apps import TARIFF as ZERODHA

NOW = date(2026, 11, 23)
IN_2023 = date(2023, 7, 10)


def zerodha(kind: Kind, side: str, value: str, day: date = NOW, venue: str = "NSE") -> Charges:
    return charges_of(ZERODHA, day, venue=venue, kind=kind, side=side, value=Decimal(value))


def fyers(kind: Kind, side: str, value: str, day: date = NOW) -> Charges:
    return charges_of(FYERS, day, venue="NSE", kind=kind, side=side, value=Decimal(value))


def test_an_intraday_purchase() -> None:
    """90,000 rupees: no transaction tax, brokerage at its cap, 18 % on 22.853."""
    assert zerodha(Kind.INTRADAY, "BUY", "90000") == Charges(
        exchange=Decimal("2.763"),
        sebi=Decimal("0.09"),
        brokerage=Decimal(20),
        stamp_duty=Decimal("2.7"),
        gst=Decimal("4.11354"),
    )
    assert zerodha(Kind.INTRADAY, "BUY", "90000").total == Decimal("29.66654")


def test_an_intraday_sale() -> None:
    """90,500 rupees: 0.025 % of tax, no stamp duty."""
    sale = zerodha(Kind.INTRADAY, "SELL", "90500")
    assert sale.transaction_tax == Decimal("22.625")
    assert sale.stamp_duty == 0
    assert sale.total == Decimal("49.610243")
    small = zerodha(Kind.INTRADAY, "SELL", "9050")
    assert small.brokerage == Decimal("2.715")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_delivery_is_taxed_on_both_sides_and_free_at_zerodha(side: str) -> None:
    """0.1 % of 100,000 each way; stamp duty of 0.015 % for the buyer only; GST on 3.17."""
    order = zerodha(Kind.DELIVERY, side, "100000")
    assert order.transaction_tax == 100
    assert order.brokerage == 0
    assert order.stamp_duty == (Decimal(15) if side == "BUY" else 0)
    assert order.gst == Decimal("0.5706")


@pytest.mark.parametrize(
    ("day", "exchange", "fund"),
    [(date(2026, 2, 28), "2.97", "0.1"), (date(2026, 3, 1), "3.07", "0")],
)
def test_the_exchange_took_over_the_funds_part(day: date, exchange: str, fund: str) -> None:
    """Of 100,000 rupees 3.07 in all before and after 1 March 2026; GST is on the exchange's."""
    order = zerodha(Kind.DELIVERY, "SELL", "100000", day)
    assert order.exchange == Decimal(exchange)
    assert order.protection_fund == Decimal(fund)
    assert order.gst == Decimal("0.18") * (Decimal(exchange) + Decimal("0.1"))


@pytest.mark.parametrize(
    ("day", "future", "option"),
    [
        (date(2019, 1, 1), "100", "5"),
        (date(2021, 5, 10), "100", "5"),
        (date(2023, 3, 31), "100", "5"),
        (date(2023, 4, 1), "125", "6.25"),
        (date(2024, 9, 30), "125", "6.25"),
        (date(2024, 10, 1), "200", "10"),
        (date(2026, 3, 31), "200", "10"),
        (date(2026, 4, 1), "500", "15"),
    ],
)
def test_tax_on_derivatives_rose_on_known_days(day: date, future: str, option: str) -> None:
    """A future sold for a million, an option for a premium of 10,000; purchases are free of it."""
    assert zerodha(Kind.FUTURE, "SELL", "1000000", day).transaction_tax == Decimal(future)
    assert zerodha(Kind.OPTION, "SELL", "10000", day).transaction_tax == Decimal(option)
    assert zerodha(Kind.FUTURE, "BUY", "1000000", day).transaction_tax == 0
    assert zerodha(Kind.OPTION, "BUY", "10000", day).transaction_tax == 0


def test_a_round_trip_in_a_future() -> None:
    """1,690,000 bought and 1,700,000 sold: 850 of tax and 33.80 of stamp duty lead the bill."""
    bought = zerodha(Kind.FUTURE, "BUY", "1690000")
    assert bought.exchange == Decimal("30.927")
    assert bought.stamp_duty == Decimal("33.8")
    sold = zerodha(Kind.FUTURE, "SELL", "1700000")
    assert sold.transaction_tax == Decimal(850)
    assert sold.exchange == Decimal("31.11")
    assert sold.gst == Decimal("0.18") * (20 + Decimal("31.11") + Decimal("1.7"))
    assert bought.brokerage == sold.brokerage == 20


def test_kites_published_contract_note_adds_up() -> None:
    """The two orders in shares and options of Kite's reply of July 2023, to the last digit.

    GST of 0.0033768 is 18 % of 0.0182 and 0.00056: the protection fund's 0.00056 bears none.
    """
    share = zerodha(Kind.DELIVERY, "BUY", "560", IN_2023)
    assert share.transaction_tax == Decimal("0.56")
    assert share.exchange + share.protection_fund == Decimal("0.01876")
    assert share.sebi == Decimal("0.00056")
    assert share.gst == Decimal("0.0033768")
    option = zerodha(Kind.OPTION, "BUY", "150", IN_2023)
    assert option.exchange + option.protection_fund == Decimal("0.07575")
    assert option.brokerage == 20
    assert option.gst == Decimal("3.613527")
    assert option.total - option.stamp_duty == Decimal("23.689427")


def test_the_other_exchange_has_its_own_fees() -> None:
    """BSE takes 0.00375 % of shares, nothing of futures, and has no protection fund on trades."""
    share = zerodha(Kind.INTRADAY, "BUY", "100000", venue="BSE")
    assert share.exchange == Decimal("3.75")
    assert share.protection_fund == 0
    assert zerodha(Kind.FUTURE, "BUY", "100000", venue="BSE").exchange == 0
    assert zerodha(Kind.OPTION, "BUY", "10000", venue="BSE").exchange == Decimal("3.25")


def test_fyers_charges_for_delivery_and_clearing() -> None:
    """0.3 % up to 20 rupees since October 2024; derivatives are cleared for 0.0005 %."""
    assert fyers(Kind.DELIVERY, "BUY", "5000").brokerage == Decimal(15)
    assert fyers(Kind.DELIVERY, "BUY", "9000").brokerage == Decimal(20)
    assert fyers(Kind.DELIVERY, "BUY", "9000", date(2024, 9, 30)).brokerage == 0
    assert fyers(Kind.INTRADAY, "BUY", "9000").brokerage == Decimal("2.7")
    future = fyers(Kind.FUTURE, "BUY", "1000000")
    assert future.clearing == Decimal(5)
    assert future.gst == Decimal("0.18") * (20 + Decimal("18.3") + 5 + 1)
