"""The simulated Fyers seen through the official SDK: orders, trades, positions, holdings, money."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sandbox import orders as words
from sandbox.fyers.order_service import _check_lot, probe
from sandbox.fyers.responses import FyersError
from sandbox.fyers.serializers import local_time, status_of
from sandbox.instruments import INSTRUMENTS
from tests.fakes.fyers_sandbox import (
    Account,
    FyersSandbox,
    limit_order,
    market_order,
)

CLOCK = "2026-11-23T10:00:00"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FyersSandbox]:
    made = FyersSandbox(tmp_path_factory.mktemp("fyers"), "--clock", CLOCK)
    yield made
    made.close()


@pytest.fixture
def account(sandbox: FyersSandbox) -> Account:
    return sandbox.login()


def resting(account: Account, symbol: str = "NSE:SBIN-EQ", **fields: Any) -> dict[str, Any]:
    """Return the body of a limit order well below the market, inside the circuit limits."""
    quote = account.api.quotes({"symbols": symbol})["d"][0]["v"]
    return limit_order(symbol, round(int(quote["lp"] * 0.95), 2), **fields)


def filled(account: Account, **fields: Any) -> str:
    """Place a market order, wait for its fill and return its id."""
    answer = account.api.place_order(market_order(**fields))
    assert answer["code"] == 1101, answer
    account.settled(answer["id"], "COMPLETE")
    order_id = answer["id"]
    assert isinstance(order_id, str)
    return order_id


# One order's life


def test_order_rests_is_modified_and_cancelled(account: Account):
    """1101, 1102 and 1103 with one id; the book shows the tag with its prefix."""
    body = resting(account, orderTag="Tag001")
    placed = account.api.place_order(body)
    assert (placed["s"], placed["code"]) == ("ok", 1101)
    assert re.fullmatch(r"261123\d{8}", placed["id"])
    assert placed["id"] in placed["message"]
    account.settled(placed["id"], "OPEN")
    (row,) = account.api.orderbook({"order_tag": "1:Tag001"})["orderBook"]
    assert (row["id"], row["status"], row["orderTag"]) == (placed["id"], 6, "1:Tag001")
    assert row["orderNumStatus"] == f"{placed['id']}:6"
    assert (row["limitPrice"], row["qty"], row["remainingQuantity"]) == (body["limitPrice"], 10, 10)
    assert (row["clientId"], row["symbol"]) == (account.user_id, "NSE:SBIN-EQ")
    assert UUID(row["id_fyers"]).version == 4
    assert row["exchOrdId"]
    assert re.fullmatch(r"23-Nov-2026 10:\d\d:\d\d", row["orderDateTime"])
    price = body["limitPrice"] - 1
    changed = account.api.modify_order(
        {"id": placed["id"], "type": 1, "limitPrice": price, "qty": 7}
    )
    assert (changed["code"], changed["id"]) == (1102, placed["id"])
    row = account.row(placed["id"])
    assert (row["limitPrice"], row["qty"], row["status"]) == (price, 7, 6)
    assert account.api.cancel_order({"id": placed["id"]})["code"] == 1103
    row = account.row(placed["id"])
    assert (row["status"], row["filledQty"], row["remainingQuantity"]) == (1, 0, 0)


def test_ledger_has_every_write_in_order(account: Account):
    """Each write is entered with what it said and whether it took effect."""
    body = resting(account, orderTag="Led1")
    order_id = account.api.place_order(body)["id"]
    account.api.modify_order({"id": order_id, "type": 1, "qty": 5})
    account.api.cancel_order({"id": order_id})
    account.api.cancel_order({"id": order_id})
    rows = account.ledger
    assert [row["action"] for row in rows] == ["place", "modify", "cancel", "cancel"]
    assert [row["applied"] for row in rows] == [True, True, True, False]
    assert {row["broker_order_id"] for row in rows} == {order_id}
    first = rows[0]
    assert (first["tag"], first["side"], first["quantity"]) == ("Led1", "BUY", 10)
    assert (first["order_type"], first["product"]) == ("LIMIT", "INTRADAY")
    assert (first["source_ip"], first["symbol"]) == ("127.0.0.1", "NSE:SBIN-EQ")


def test_market_order_is_converted_and_fills(account: Account):
    """A market order becomes a protected limit, fills, and shows in trades, positions, money."""
    order_id = filled(account)
    row = account.row(order_id)
    assert (row["type"], row["status"], row["filledQty"]) == (1, 2, 10)
    assert row["limitPrice"] >= row["tradedPrice"] > 0
    assert row["orderTag"] == "2:Untagged"
    (trade,) = account.api.tradebook()["tradeBook"]
    assert (trade["orderNumber"], trade["tradedQty"], trade["side"]) == (order_id, 10, 1)
    assert trade["tradePrice"] == row["tradedPrice"]
    answer = account.api.positions()
    (position,) = answer["netPositions"]
    assert position["id"] == "NSE:SBIN-EQ-INTRADAY"
    assert (position["netQty"], position["side"], position["buyQty"]) == (10, 1, 10)
    assert answer["overall"]["count_open"] == 1
    money = {item["id"]: item["equityAmount"] for item in account.api.funds()["fund_limit"]}
    assert money[2] > 0
    assert money[10] < money[9] == 200_000


def test_market_order_may_rest(account: Account):
    """While nobody trades, a converted market order waits as pending and can be cancelled."""
    control = account.sandbox.control
    control("POST", "/market/halt", {"symbol": "MARUTI"})
    try:
        order_id = account.api.place_order(market_order("NSE:MARUTI-EQ", qty=1))["id"]
        account.settled(order_id, "OPEN")
        row = account.row(order_id)
        assert (row["status"], row["filledQty"]) == (6, 0)
        assert account.api.cancel_order({"id": order_id})["code"] == 1103
    finally:
        control("POST", "/market/halt", {"symbol": "MARUTI", "halted": False})


def test_stop_order_waits_then_triggers(account: Account):
    """A stop-limit order is pending until the price comes, and fills then."""
    control = account.sandbox.control
    control("POST", "/market", {"symbol": "WIPRO", "last_price": 250})
    body = market_order("NSE:WIPRO-EQ", type=4, stopPrice=251, limitPrice=252)
    order_id = account.api.place_order(body)["id"]
    account.settled(order_id, "TRIGGER PENDING")
    row = account.row(order_id)
    assert (row["type"], row["status"], row["stopPrice"]) == (4, 6, 251)
    control("POST", "/market", {"symbol": "WIPRO", "last_price": 251.5})
    account.settled(order_id, "COMPLETE")
    assert account.row(order_id)["status"] == 2


def test_price_outside_the_circuit_is_rejected_after_acceptance(account: Account):
    """1101 says submitted; the rejection comes with status 5 and a reason."""
    placed = account.api.place_order(limit_order(price=1.0))
    assert placed["code"] == 1101
    account.settled(placed["id"], "REJECTED")
    row = account.row(placed["id"])
    assert row["status"] == 5
    assert row["message"]


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (words.RECEIVED, 4),
        (words.VALIDATING, 4),
        (words.OPENING, 4),
        (words.OPEN, 6),
        (words.TRIGGER_PENDING, 6),
        (words.AMO_RECEIVED, 6),
        (words.COMPLETE, 2),
        (words.CANCELLED, 1),
        (words.REJECTED, 5),
    ],
)
def test_every_state_has_a_number(kept: str, shown: int):
    """An order in the air is in transit (4); waiting for anything else is pending (6)."""
    new = words.NewOrder(("fyers", "X"), "A-100", "SBIN", "BUY", 1, "MIS", "MARKET")
    order = probe(new)
    order.status = kept
    assert status_of(order) == shown


def test_months_are_english_whatever_the_locale():
    """Times read `09-Mar-2023 09:34:38`, without a zone."""
    assert local_time("2023-03-09T09:34:38+05:30") == "09-Mar-2023 09:34:38"


# Refusals


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NSE:NOBODY-EQ"}, -300),
        ({"symbol": "NSE:NIFTY50-INDEX"}, -300),
        ({"symbol": None}, -50),
        ({"qty": 0}, -50),
        ({"qty": 1.5}, -50),
        ({"qty": 100_001}, -310),
        ({"type": 9}, -50),
        ({"side": 0}, -50),
        ({"productType": "CO"}, -50),
        ({"productType": "NRML"}, -50),
        ({"validity": "GTC"}, -50),
        ({"type": 1, "limitPrice": 0}, -50),
        ({"type": 1, "limitPrice": 900.03}, -392),
        ({"type": 1, "limitPrice": -1}, -50),
        ({"type": 3, "stopPrice": 0}, -50),
        ({"type": 4, "stopPrice": 1000, "limitPrice": 990}, -50),
        ({"disclosedQty": 11}, -50),
        ({"orderTag": "a-b"}, -50),
        ({"orderTag": "x" * 31}, -50),
        ({"orderTag": "Untagged"}, -50),
    ],
)
def test_senseless_order_is_refused_without_a_row(
    sandbox: FyersSandbox, changes: dict[str, Any], code: int
):
    """Wrong parameters answer a code of their own, no id, and leave the book empty."""
    account = sandbox.login()
    answer = account.api.place_order(market_order() | changes)
    assert (answer["s"], answer["code"]) == ("error", code)
    assert answer["message"]
    assert "id" not in answer
    assert account.api.orderbook()["orderBook"] == []
    assert [row["applied"] for row in account.ledger] == [False]


def test_client_id_is_no_tag(account: Account):
    """A tag that equals the client id is refused."""
    assert account.api.place_order(market_order(orderTag=account.user_id))["code"] == -50


def test_texts_of_older_samples_are_understood(account: Account):
    """Numbers and flags may come as texts."""
    body = market_order(qty="3", side="1", offlineOrder="False", type="2")
    answer = account.api.place_order(body)
    assert account.settled(answer["id"], "COMPLETE")["quantity"] == 3


def test_lot_size_is_checked():
    """A quantity that is no multiple of the lot answers -310."""
    sbin = replace(INSTRUMENTS[1], lot_size=50)
    _check_lot(100, sbin)
    with pytest.raises(FyersError, match="multiples of 50") as caught:
        _check_lot(75, sbin)
    assert caught.value.code == -310


def test_margin_shortfall_leaves_a_rejected_row(sandbox: FyersSandbox):
    """Too little money answers -99 with an id, whose row is rejected with the same text."""
    account = sandbox.login(cash=1000)
    answer = account.api.place_order(market_order(qty=50, orderTag="Poor1"))
    assert (answer["s"], answer["code"]) == ("error", -99)
    text = (
        r"RED:Margin Shortfall:INR [\d,.]+ Available:INR 1,000\.00 "
        rf"for C-{account.user_id} \[FYERS_RISK_CUG\]"
    )
    assert re.fullmatch(text, answer["message"])
    row = account.row(answer["id"])
    assert (row["status"], row["message"], row["orderTag"]) == (5, answer["message"], "1:Poor1")
    assert row["exchOrdId"] == ""


def test_selling_what_is_not_held_leaves_a_rejected_row(account: Account):
    """Delivery cannot be sold short: -99 with the id of a rejected row."""
    answer = account.api.place_order(market_order(side=-1, productType="CNC"))
    assert (answer["s"], answer["code"]) == ("error", -99)
    assert account.row(answer["id"])["status"] == 5


def test_finished_and_foreign_orders_cannot_be_touched(sandbox: FyersSandbox, account: Account):
    """-51 for unknown and foreign orders, -161 when cancelled, -162 when filled."""
    order_id = account.api.place_order(resting(account))["id"]
    other = sandbox.login()
    assert other.api.cancel_order({"id": order_id})["code"] == -51
    assert account.api.cancel_order({"id": "26112399999999"})["code"] == -51
    assert account.api.cancel_order({})["code"] == -51
    assert account.api.cancel_order({"id": order_id})["code"] == 1103
    assert account.api.cancel_order({"id": order_id})["code"] == -161
    done = filled(account)
    assert account.api.cancel_order({"id": done})["code"] == -162
    assert account.api.modify_order({"id": done, "type": 1, "qty": 20})["code"] == -162
    assert account.api.modify_order({"type": 1, "qty": 20})["code"] == -51


# Baskets, slices, margin


def test_basket_answers_each_order_for_itself(account: Account):
    """The outer ok says nothing of the inner orders; ten are the most."""
    good = resting(account, orderTag="Basket1")
    answer = account.api.place_basket_orders([good, good | {"symbol": "NSE:NOBODY-EQ"}, good])
    assert (answer["s"], answer["code"]) == ("ok", 200)
    codes = [item["body"]["code"] for item in answer["data"]]
    assert codes == [1101, -300, 1101]
    assert [item["statusCode"] for item in answer["data"]] == [200, 400, 200]
    assert [row["applied"] for row in account.ledger] == [True, False, True]
    ids = [item["body"]["id"] for item in answer["data"] if "id" in item["body"]]
    changes = [{"id": order_id, "type": 1, "qty": 4} for order_id in ids]
    changed = account.api.modify_basket_orders(changes)
    assert [item["body"]["code"] for item in changed["data"]] == [1102, 1102]
    cancelled = account.api.cancel_basket_orders([{"id": order_id} for order_id in ids])
    assert [item["body"]["code"] for item in cancelled["data"]] == [1103, 1103]
    assert account.api.place_basket_orders([good] * 11)["code"] == -50
    assert len(account.book["orders"]) == 2


def test_order_above_the_freeze_quantity_is_sliced(sandbox: FyersSandbox):
    """With isSliceOrder the quantity is cut into children that add up to it."""
    account = sandbox.login(cash=1_000_000_000)
    body = resting(account, "NSE:ITC-EQ", qty=250_000, isSliceOrder=True, orderTag="Slice1")
    answer = account.api.place_order(body)
    assert answer["code"] == 1101
    assert [item["body"]["code"] for item in answer["data"]] == [1101] * 3
    rows = account.api.orderbook({"order_tag": "1:Slice1"})["orderBook"]
    assert [row["qty"] for row in rows] == [100_000, 100_000, 50_000]


def test_margin_of_an_order_is_told_beforehand(account: Account):
    """The margin path answers what an order would block, and blocks nothing.

    That is 9,000 and the charges without transaction tax: 20 of brokerage, 1.35 of stamp duty, 0.29
    for exchange and SEBI, 3.65 of GST.
    """
    order = {"symbol": "NSE:SBIN-EQ", "qty": 10, "side": 1, "type": 1, "productType": "CNC"}
    body = {"data": [order | {"limitPrice": 900.0}]}
    data = account.raw("POST", "/api/v3/multiorder/margin", json=body).json()["data"]
    assert data["margin_new_order"] == 9025.29
    assert data["margin_avail"] == 200_000.0
    assert account.api.funds()["fund_limit"][1]["equityAmount"] == 0


# Positions and holdings


def test_exit_closes_what_it_names(account: Account):
    """By id: closed with 200, the row stays flat; a wrong id is -53, nothing left is -352."""
    filled(account)
    wrong = account.api.exit_positions({"id": "NSE:TCS-EQ-INTRADAY"})
    assert wrong["code"] == -53
    answer = account.api.exit_positions({"id": "NSE:SBIN-EQ-INTRADAY"})
    assert (answer["s"], answer["code"]) == ("ok", 200)
    (position,) = account.api.positions()["netPositions"]
    assert (position["netQty"], position["side"]) == (0, 0)
    assert account.api.exit_positions({"exit_all": 1})["code"] == -352
    applied = [row for row in account.ledger if row["applied"]]
    assert [(row["side"], row["quantity"]) for row in applied] == [("BUY", 10), ("SELL", 10)]


def test_empty_exit_closes_everything_that_passes_the_filter(account: Account):
    """Filters choose; the SDK's empty call means all. Working orders go when asked for."""
    filled(account)
    filled(account, symbol="NSE:ITC-EQ", productType="MARGIN", side=-1)
    waiting = account.api.place_order(resting(account, "NSE:TCS-EQ", qty=1))["id"]
    chosen = {"segment": [10], "side": [1, -1], "productType": ["MARGIN"]}
    assert account.api.exit_positions(chosen)["code"] == 200
    left = {row["id"]: row["netQty"] for row in account.api.positions()["netPositions"]}
    assert left == {"NSE:SBIN-EQ-INTRADAY": 10, "NSE:ITC-EQ-MARGIN": 0}
    assert account.row(waiting)["status"] == 6
    by_id = {"id": "NSE:ITC-EQ-MARGIN", "pending_orders_cancel": 1}
    assert account.api.exit_positions(by_id)["code"] == -352
    assert account.row(waiting)["status"] == 6
    assert account.api.exit_positions({"pending_orders_cancel": 1})["code"] == 200
    assert account.row(waiting)["status"] == 1
    assert account.api.positions()["overall"]["count_open"] == 0


def test_exit_that_does_not_fill_says_201(account: Account):
    """While nobody trades, the counter order rests and the answer is 201."""
    control = account.sandbox.control
    filled(account, symbol="NSE:MARUTI-EQ", qty=1)
    control("POST", "/market/halt", {"symbol": "MARUTI"})
    try:
        answer = account.api.exit_positions({"id": "NSE:MARUTI-EQ-INTRADAY"})
        assert (answer["s"], answer["code"]) == ("ok", 201)
    finally:
        control("POST", "/market/halt", {"symbol": "MARUTI", "halted": False})


def test_position_is_converted(account: Account):
    """A part of a position moves to another product; more than there is answers -50."""
    filled(account)
    body = {
        "symbol": "NSE:SBIN-EQ-INTRADAY",
        "positionSide": 1,
        "convertQty": 4,
        "convertFrom": "INTRADAY",
        "convertTo": "MARGIN",
        "overnight": 0,
    }
    answer = account.api.convert_position(body)
    assert (answer["s"], answer["code"], answer["positionDetails"]) == ("ok", 200, 1101)
    rows = {row["id"]: row["netQty"] for row in account.api.positions()["netPositions"]}
    assert rows == {"NSE:SBIN-EQ-INTRADAY": 6, "NSE:SBIN-EQ-MARGIN": 4}
    assert account.api.convert_position(body | {"convertQty": 40})["code"] == -50
    assert len(account.api.tradebook()["tradeBook"]) == 1


def test_holdings_show_what_may_be_sold(sandbox: FyersSandbox):
    """What remains goes down with a sale of the day; the totals are of the rows."""
    held = [{"symbol": "INFY", "quantity": 40, "average_price": 1400.0, "t1_quantity": 0}]
    account = sandbox.login(holdings=held)
    answer = account.api.holdings()
    (row,) = answer["holdings"]
    assert (row["symbol"], row["holdingType"], row["quantity"]) == ("NSE:INFY-EQ", "HLD", 40)
    assert (row["isin"], row["costPrice"]) == ("INE009A01021", 1400.0)
    assert answer["overall"]["total_investment"] == 56_000.0
    filled(account, symbol="NSE:INFY-EQ", side=-1, productType="CNC", qty=15)
    assert account.api.holdings()["holdings"][0]["remainingQuantity"] == 25
