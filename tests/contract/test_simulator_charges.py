"""What trades cost at both simulated brokers: estimates, the day's bill, funds over the night.

The figures are worked by hand: 10 SBIN bought at 900 and sold at 905 within a day cost 9.34 on
the contract note (``tests/unit/sandbox/test_contract_note.py``), at either broker.
"""

from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import API_KEY, buy, filled, kite_errors, log_in, raw
from tests.fakes.sandbox_process import Sandbox

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

ROUND_TRIP = 9.34
MORNING = {"to": "2026-11-25T08:45:00"}
NOTE_KEYS = [
    "transaction_type",
    "tradingsymbol",
    "exchange",
    "variety",
    "product",
    "order_type",
    "quantity",
    "price",
    "charges",
]
ORDER = {
    "order_id": "1",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "transaction_type": "SELL",
    "variety": "regular",
    "product": "MIS",
    "order_type": "MARKET",
    "quantity": 100,
    "average_price": 905,
}
OPTION = {
    "exchange": "NFO",
    "tradingsymbol": "NIFTY26D0126000CE",
    "product": "NRML",
    "quantity": 65,
    "average_price": 100,
}


def price(sandbox: Sandbox, last: float) -> None:
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": last})


def bill(sandbox: Sandbox, **query: str) -> Any:
    return sandbox.ask("GET", "/charges", **({"broker": "kite", "api_key": API_KEY} | query))


def round_trip(sandbox: Sandbox, kite: Any) -> None:
    price(sandbox, 900)
    filled(sandbox, buy(kite))
    price(sandbox, 905)
    filled(sandbox, buy(kite, transaction_type="SELL"))


def test_kite_estimates_the_charges_of_orders(kite: Any) -> None:
    """The SDK's virtual contract note has Kite's shape and exact figures."""
    future = ORDER | {"exchange": "NFO", "tradingsymbol": "SBIN26DECFUT", "quantity": 750}
    notes = kite.get_virtual_contract_note([ORDER, ORDER | OPTION, future | {"product": "NRML"}])
    assert [list(note) for note in notes] == [NOTE_KEYS] * 3
    assert {name: notes[0][name] for name in NOTE_KEYS[:5]} == {n: ORDER[n] for n in NOTE_KEYS[:5]}
    assert (notes[0]["quantity"], notes[0]["price"]) == (100, 905)
    assert notes[0]["charges"] == {
        "transaction_tax": 22.625,
        "transaction_tax_type": "stt",
        "exchange_turnover_charge": 2.77835,
        "sebi_turnover_charge": 0.0905,
        "brokerage": 20,
        "stamp_duty": 0,
        "gst": {"igst": 4.116393, "cgst": 0, "sgst": 0, "total": 4.116393},
        "total": 49.610243,
    }
    assert notes[1]["charges"]["transaction_tax"] == 9.75  # 0.15 % of a premium of 6,500
    assert notes[2]["charges"]["transaction_tax"] == 339.375  # 0.05 % of 678,750


def test_kite_adds_charges_to_margins(kite: Any) -> None:
    """Each order's charges, and in a basket their sum; stamp duty is cut to paise."""
    order = ORDER | {"transaction_type": "BUY", "product": "CNC", "quantity": 1, "price": 905}
    margins = kite.order_margins([order])
    assert margins[0]["charges"]["stamp_duty"] == 0.13
    assert margins[0]["charges"]["transaction_tax"] == 0.905
    basket = kite.basket_order_margins([order, order])
    assert basket["charges"]["transaction_tax"] == 1.81
    assert basket["orders"][0]["charges"] == margins[0]["charges"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tradingsymbol": "NOBODY"}, "Invalid `tradingsymbol`."),
        ({"tradingsymbol": "NIFTY 50"}, "Invalid `tradingsymbol`."),
        ({"exchange": "NFO", "tradingsymbol": "ACME26D0126000CE"}, "Invalid `tradingsymbol`."),
        ({"exchange": "LSE"}, "Invalid `exchange`."),
        ({"quantity": None}, "Missing or empty field `quantity`."),
        ({"average_price": None}, "Missing or empty field `average_price`."),
        ({"average_price": -1}, "Invalid `average_price`."),
        ({"product": "XYZ"}, "Invalid `product`."),
    ],
)
def test_kite_refuses_what_it_cannot_charge(
    kite: Any, changes: dict[str, Any], message: str
) -> None:
    """An order that is wrong is an InputException with status 400."""
    with pytest.raises(kite_errors.InputException) as caught:
        kite.get_virtual_contract_note([ORDER | changes])
    assert (str(caught.value), caught.value.code) == (message, 400)


def test_kite_refuses_a_body_that_is_no_list(sandbox: Sandbox, kite: Any) -> None:
    """A form, an object and a list of something else are 400 with Kite's envelope."""
    for body in ({"data": ORDER}, {"json": ORDER}, {"json": ["SBIN"]}):
        answer = raw(sandbox, kite, "POST", "/charges/orders", **body)
        assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")


def test_kites_funds_are_after_charges_the_next_morning(sandbox: Sandbox, kite: Any) -> None:
    """During the day the result counts alone; over the night the bill is debited, once."""
    round_trip(sandbox, kite)
    assert kite.margins("equity")["available"]["opening_balance"] == 500_000
    assert kite.margins("equity")["net"] == 500_050
    today = bill(sandbox)
    assert (today["total"], today["day"]) == (ROUND_TRIP, "2026-11-23")
    sandbox.ask("POST", "/clock", MORNING)
    after = round(500_050 - ROUND_TRIP, 2)
    for _ in range(2):
        funds = log_in(sandbox).margins("equity")
        assert funds["net"] == funds["available"]["cash"] == after
        assert funds["available"]["opening_balance"] == funds["available"]["live_balance"] == after
    assert bill(sandbox)["total"] == 0
    assert bill(sandbox, day="2026-11-23") == today


def test_a_bill_names_the_fees_that_are_on_no_note(sandbox: Sandbox, kite: Any) -> None:
    """Holdings that were sold, and what the broker squared off; all of it is debited."""
    price(sandbox, 900)
    filled(sandbox, buy(kite))
    sandbox.ask("POST", "/market", {"symbol": "INFY", "last_price": 1500})
    holding = {"tradingsymbol": "INFY", "product": "CNC", "transaction_type": "SELL"}
    filled(sandbox, buy(kite, **holding))
    sandbox.ask("POST", "/square-off", {"broker": "kite", "user_id": "AB1234"})
    shown = bill(sandbox)
    assert (shown["depository"], shown["square_off"]) == (15.34, 59)
    assert shown["total"] == round(shown["note_total"] + 15.34 + 59, 2)
    kinds = [(row["symbol"], row["kind"], row["side"]) for row in shown["orders"]]
    assert kinds == [
        ("SBIN", "intraday", "BUY"),
        ("INFY", "delivery", "SELL"),
        ("SBIN", "intraday", "SELL"),
    ]
    before = kite.margins("equity")["net"]
    sandbox.ask("POST", "/clock", MORNING)
    after = log_in(sandbox).margins("equity")["net"]
    assert after == pytest.approx(before - shown["total"], abs=1e-4)


def test_fyers_withholds_charges_and_debits_the_bill(sandbox: Sandbox, fyers: Account) -> None:
    """By day all but the tax is taken out of the available balance, overnight the bill is.

    Of the purchase 3.79 are withheld (brokerage 2.70, exchange and SEBI 0.29, stamp duty 0.27,
    GST 0.54), of the sale 3.54 (2.715, 0.29 and 0.54).
    """
    price(sandbox, 900)
    fyers.settled(fyers.api.place_order(market_order())["id"], "COMPLETE")
    assert money(fyers)[10] == round(200_000 - 1800 - 3.79, 2)
    price(sandbox, 905)
    fyers.settled(fyers.api.place_order(market_order(side=-1))["id"], "COMPLETE")
    assert money(fyers)[10] == round(200_050 - 7.33, 2)
    assert money(fyers)[9] == 200_000
    mine = {"broker": "fyers", "api_key": fyers.app_id}
    assert sandbox.ask("GET", "/charges", **mine)["total"] == ROUND_TRIP
    sandbox.ask("POST", "/clock", MORNING)
    fyers.login()
    assert money(fyers)[10] == money(fyers)[9] == round(200_050 - ROUND_TRIP, 2)


def test_fyers_gives_back_what_a_cancelled_order_withheld(sandbox: Sandbox, fyers: Account) -> None:
    """Charges of an order that did not fill are released with its margin."""
    price(sandbox, 900)
    order_id = fyers.api.place_order(market_order(type=1, limitPrice=890.0))["id"]
    fyers.settled(order_id, "OPEN")
    assert money(fyers)[10] < 200_000 - 1780
    fyers.api.cancel_order({"id": order_id})
    assert money(fyers)[10] == 200_000


def money(account: Account) -> dict[int, float]:
    """Return Fyers' funds by the number of their row."""
    return {row["id"]: row["equityAmount"] for row in account.api.funds()["fund_limit"]}
