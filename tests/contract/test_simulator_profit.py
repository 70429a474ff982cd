"""Profit fields of positions at both simulated brokers, against replies that the brokers publish.

Kite's own test replies (kite.md 3.4): all profit is in `unrealised`, none in `realised`, also on a
flat row; `pnl` is since the entry, `m2m` since the previous close; the day's rows know nothing of
what was carried.
"""

from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import API_KEY, buy, filled, kite_errors, log_in, raw, truth
from tests.fakes.sandbox_process import Sandbox

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

CARRIED = {
    "quantity": 0,
    "overnight_quantity": 3,
    "multiplier": 1,
    "average_price": 0,
    "close_price": 23232,
    "last_price": 23355,
    "value": 801,
    "pnl": 801,
    "m2m": 276,
    "unrealised": 801,
    "realised": 0,
    "buy_quantity": 4,
    "buy_price": 23139.75,
    "buy_value": 92559,
    "buy_m2m": 93084,
    "sell_quantity": 4,
    "sell_price": 23340,
    "sell_value": 93360,
    "sell_m2m": 93360,
    "day_buy_quantity": 1,
    "day_buy_price": 23388,
    "day_buy_value": 23388,
    "day_sell_quantity": 4,
    "day_sell_price": 23340,
    "day_sell_value": 93360,
}
CARRIED_TODAY = CARRIED | {
    "quantity": -3,
    "overnight_quantity": 0,
    "average_price": 23340,
    "value": 69972,
    "pnl": -93,
    "m2m": -93,
    "unrealised": -93,
    "buy_quantity": 1,
    "buy_price": 23388,
    "buy_value": 23388,
    "buy_m2m": 23388,
}
ROUND_TRIP = {
    "quantity": 0,
    "overnight_quantity": 0,
    "average_price": 0,
    "close_price": 0,
    "last_price": 308.4,
    "value": -2,
    "pnl": -2,
    "m2m": -2,
    "unrealised": -2,
    "realised": 0,
    "buy_price": 311,
    "buy_m2m": 311,
    "sell_price": 309,
    "sell_m2m": 309,
}
"""Rows of the reply: gold, carried from yesterday and sold, and a cover order of the day."""


def move(sandbox: Sandbox, symbol: str, price: float) -> None:
    sandbox.ask("POST", "/market", {"symbol": symbol, "last_price": price})


def trade(sandbox: Sandbox, kite: Any, symbol: str, price: float, **order: Any) -> None:
    """Trade at a price of one's choice."""
    move(sandbox, symbol, price)
    filled(sandbox, buy(kite, tradingsymbol=symbol, **order))


@pytest.fixture
def published(sandbox: Sandbox) -> Any:
    """A client of an account that has traded as the published reply says."""
    account = {"broker": "kite", "api_key": API_KEY, "user_id": "AB1234", "cash": 9_000_000}
    sandbox.ask("POST", "/accounts", account)
    kite = log_in(sandbox)
    trade(sandbox, kite, "SBIN", 23057, quantity=3, product="NRML")
    move(sandbox, "SBIN", 23232)
    sandbox.ask("POST", "/clock", {"to": "2026-11-25T10:00:00"})
    kite = log_in(sandbox)
    trade(sandbox, kite, "SBIN", 23388, quantity=1, product="NRML")
    trade(sandbox, kite, "SBIN", 23340, quantity=4, product="NRML", transaction_type="SELL")
    move(sandbox, "SBIN", 23355)
    trade(sandbox, kite, "ITC", 311, quantity=1)
    trade(sandbox, kite, "ITC", 309, quantity=1, transaction_type="SELL")
    move(sandbox, "ITC", 308.4)
    return kite


def test_kite_rows_are_those_of_the_published_reply(published: Any) -> None:
    """Every figure of the reply comes out of the same trades, on the net and on the day's side."""
    positions = published.positions()
    net = {row["tradingsymbol"]: row for row in positions["net"]}
    day = {row["tradingsymbol"]: row for row in positions["day"]}
    for row, expected in (
        (net["SBIN"], CARRIED),
        (day["SBIN"], CARRIED_TODAY),
        (net["ITC"], ROUND_TRIP),
        (day["ITC"], ROUND_TRIP),
    ):
        assert {name: row[name] for name in expected} == expected


def test_kite_s_totals_mislead_whoever_adds_the_wrong_fields(published: Any) -> None:
    """Realised is 0 although both rows are flat, unrealised 799; what the day made is 274."""
    net = published.positions()["net"]
    assert {row["quantity"] for row in net} == {0}
    totals = {name: sum(row[name] for row in net) for name in ("realised", "unrealised", "m2m")}
    assert totals == {"realised": 0, "unrealised": 799, "m2m": 274}


def test_a_carried_row_shows_its_profit_since_the_entry(sandbox: Sandbox, kite: Any) -> None:
    """`pnl` and `unrealised` count from the entry, `m2m` from yesterday's close."""
    trade(sandbox, kite, "SBIN", 900, product="NRML")
    move(sandbox, "SBIN", 910)
    sandbox.ask("POST", "/clock", {"to": "2026-11-25T10:00:00"})
    move(sandbox, "SBIN", 915)
    positions = log_in(sandbox).positions()
    (row,) = positions["net"]
    assert (row["overnight_quantity"], row["close_price"], row["average_price"]) == (10, 910, 900)
    assert (row["pnl"], row["unrealised"], row["realised"], row["m2m"]) == (150, 150, 0, 50)
    assert positions["day"] == []


def test_kite_writes_whole_numbers_without_a_fraction(sandbox: Sandbox, kite: Any) -> None:
    """As in the published replies: 900 and 905.5, never 900.0."""
    trade(sandbox, kite, "SBIN", 900)
    move(sandbox, "SBIN", 905.5)
    text = raw(sandbox, kite, "GET", "/portfolio/positions").text
    assert '"average_price": 900,' in text
    assert '"last_price": 905.5,' in text


def test_holdings_have_every_kind_of_quantity(sandbox: Sandbox) -> None:
    """Settled, T1, sold today and pledged are apart; a share is joined by ISIN over exchanges."""
    held = [
        {"symbol": "BSE:SBIN", "quantity": 16, "average_price": 801.78, "collateral_quantity": 5},
        {"symbol": "ITC", "quantity": 0, "average_price": 388.4, "t1_quantity": 25},
    ]
    account = {"broker": "kite", "api_key": API_KEY, "user_id": "AB1234", "holdings": held}
    sandbox.ask("POST", "/accounts", account)
    kite = log_in(sandbox)
    sell = {"product": "CNC", "transaction_type": "SELL"}
    filled(sandbox, buy(kite, quantity=6, **sell))
    with pytest.raises(kite_errors.GeneralException, match="sellable quantity is 10"):
        buy(kite, quantity=11, **sell)
    rows = {row["tradingsymbol"]: row for row in kite.holdings()}
    share = rows["SBIN"]
    assert (share["exchange"], share["isin"]) == ("BSE", "INE062A01020")
    assert share["instrument_token"] == 128028676
    quantities = "quantity used_quantity t1_quantity realised_quantity collateral_quantity"
    assert [share[name] for name in quantities.split()] == [10, 6, 0, 16, 5]
    assert share["opening_quantity"] == 16
    assert share["authorised_date"] == "2026-11-23 00:00:00"
    assert rows["ITC"]["t1_quantity"] == 25
    (position,) = kite.positions()["net"]
    assert (position["exchange"], position["quantity"]) == ("NSE", -6)


def test_a_share_bought_at_nse_joins_the_holding_at_bse(sandbox: Sandbox) -> None:
    """There is one holding for one ISIN, whatever the exchange of the trades."""
    held = [{"symbol": "BSE:SBIN", "quantity": 16, "average_price": 800}]
    account = {"broker": "kite", "api_key": API_KEY, "user_id": "AB1234", "holdings": held}
    sandbox.ask("POST", "/accounts", account)
    trade(sandbox, log_in(sandbox), "SBIN", 900, quantity=4, product="CNC")
    sandbox.ask("POST", "/clock", {"to": "2026-11-25T10:00:00"})
    (share,) = log_in(sandbox).holdings()
    assert (share["exchange"], share["quantity"], share["t1_quantity"]) == ("BSE", 16, 4)
    assert share["average_price"] == 820
    assert truth(sandbox)["holdings"][0]["symbol"] == "BSE:SBIN"


def test_profit_is_split_when_asked_for(sandbox: Sandbox, kite: Any) -> None:
    """By default nothing is realised, as at Kite; the setting is listed, checked and reset."""
    trade(sandbox, kite, "SBIN", 900)
    trade(sandbox, kite, "SBIN", 904, quantity=4, transaction_type="SELL")
    fields = ("realised", "unrealised", "pnl")
    assert [kite.positions()["net"][0][name] for name in fields] == [0, 40, 40]
    sandbox.ask("POST", "/settings", {"kite_profit": "split"})
    assert [kite.positions()["net"][0][name] for name in fields] == [16, 24, 40]
    for wrong in ({"kite_profit": "some"}, {"colour": "red"}):
        assert sandbox.call("POST", "/settings", wrong).status_code == 400
    sandbox.ask("POST", "/reset")
    assert sandbox.ask("GET", "/settings") == {"kite_profit": "published"}


# Fyers


def test_fyers_splits_realised_and_unrealised(sandbox: Sandbox, fyers: Account) -> None:
    """Realised is what was sold against the average bought, `netAvg` what the rest has cost."""

    def at(price: float, **order: Any) -> None:
        move(sandbox, "SBIN", price)
        order_id = fyers.api.place_order(market_order(**order))["id"]
        fyers.settled(order_id, "COMPLETE")

    at(900, qty=2)
    at(904, qty=1, side=-1)
    move(sandbox, "SBIN", 905)
    answer = fyers.api.positions()
    (row,) = answer["netPositions"]
    expected = {
        "netQty": 1,
        "buyQty": 2,
        "sellQty": 1,
        "buyAvg": 900,
        "sellAvg": 904,
        "buyVal": 1800,
        "sellVal": 904,
        "avgPrice": 900,
        "netAvg": 896,
        "realized_profit": 4,
        "unrealized_profit": 5,
        "pl": 9,
        "dayBuyQty": 2,
        "daySellQty": 1,
        "cfBuyQty": 0,
    }
    assert {name: row[name] for name in expected} == expected
    assert answer["overall"]["pl_total"] == 9
    at(905, qty=1, side=-1)
    (row,) = fyers.api.positions()["netPositions"]
    assert (row["netQty"], row["netAvg"], row["realized_profit"]) == (0, 0, 9)
    assert row["unrealized_profit"] == 0


def test_fyers_shows_what_is_carried(sandbox: Sandbox, fyers: Account) -> None:
    """Carried quantity is apart from the day's, and a sale of it is the day's."""
    body = {"broker": "fyers", "user_id": fyers.user_id, "symbol": "SBIN", "product": "NRML"}
    move(sandbox, "SBIN", 900)
    bought = sandbox.ask("POST", "/orders", body | {"side": "BUY", "quantity": 10})
    fyers.settled(bought["order_id"], "COMPLETE")
    sandbox.ask("POST", "/clock", {"to": "2026-11-25T10:00:00"})
    sold = sandbox.ask("POST", "/orders", body | {"side": "SELL", "quantity": 4})
    fyers.settled(sold["order_id"], "COMPLETE")
    (row,) = fyers.login().api.positions()["netPositions"]
    assert (row["netQty"], row["cfBuyQty"], row["cfSellQty"]) == (6, 10, 0)
    assert (row["dayBuyQty"], row["daySellQty"], row["productType"]) == (0, 4, "MARGIN")


def test_fyers_holdings_are_joined_by_isin_too(sandbox: Sandbox, fyers: Account) -> None:
    """What is held under BSE is sold at NSE; pledged shares are apart."""
    held = [{"symbol": "BSE:SBIN", "quantity": 16, "average_price": 800, "collateral_quantity": 5}]
    account = {"broker": "fyers", "api_key": fyers.app_id, "user_id": fyers.user_id}
    sandbox.ask("POST", "/accounts", account | {"holdings": held})
    body = market_order(qty=6, side=-1, productType="CNC")
    fyers.settled(fyers.api.place_order(body)["id"], "COMPLETE")
    (row,) = fyers.api.holdings()["holdings"]
    assert (row["symbol"], row["exchange"], row["isin"]) == ("BSE:SBIN-A", 12, "INE062A01020")
    assert (row["quantity"], row["remainingQuantity"], row["collateralQuantity"]) == (16, 10, 5)
