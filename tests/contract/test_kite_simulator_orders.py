"""Orders, positions and holdings of the Kite simulator, through the official SDK."""

from typing import Any

import pytest

from tests.fakes.kite_client import (
    buy,
    filled,
    kite_errors,
    raw,
    resting,
    row,
    truth,
)
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures",)

ORDER_KEYS = frozenset(
    {
        "placed_by",
        "order_id",
        "exchange_order_id",
        "parent_order_id",
        "status",
        "status_message",
        "status_message_raw",
        "order_timestamp",
        "exchange_update_timestamp",
        "exchange_timestamp",
        "variety",
        "modified",
        "exchange",
        "tradingsymbol",
        "instrument_token",
        "order_type",
        "transaction_type",
        "validity",
        "product",
        "quantity",
        "disclosed_quantity",
        "price",
        "trigger_price",
        "average_price",
        "filled_quantity",
        "pending_quantity",
        "cancelled_quantity",
        "market_protection",
        "meta",
        "tag",
        "guid",
    }
)

TRADE_KEYS = frozenset(
    {
        "trade_id",
        "order_id",
        "exchange",
        "tradingsymbol",
        "instrument_token",
        "product",
        "average_price",
        "quantity",
        "exchange_order_id",
        "transaction_type",
        "fill_timestamp",
        "order_timestamp",
        "exchange_timestamp",
    }
)

HOLDING_KEYS = frozenset(
    {
        "tradingsymbol",
        "exchange",
        "instrument_token",
        "isin",
        "product",
        "price",
        "quantity",
        "used_quantity",
        "t1_quantity",
        "realised_quantity",
        "authorised_quantity",
        "authorised_date",
        "authorisation",
        "opening_quantity",
        "short_quantity",
        "collateral_quantity",
        "collateral_type",
        "discrepancy",
        "average_price",
        "last_price",
        "close_price",
        "pnl",
        "day_change",
        "day_change_percentage",
        "mtf",
    }
)

POSITION_KEYS = frozenset(
    {
        "tradingsymbol",
        "exchange",
        "instrument_token",
        "product",
        "quantity",
        "overnight_quantity",
        "multiplier",
        "average_price",
        "close_price",
        "last_price",
        "value",
        "pnl",
        "m2m",
        "unrealised",
        "realised",
        "buy_quantity",
        "buy_price",
        "buy_value",
        "buy_m2m",
        "sell_quantity",
        "sell_price",
        "sell_value",
        "sell_m2m",
        "day_buy_quantity",
        "day_buy_price",
        "day_buy_value",
        "day_sell_quantity",
        "day_sell_price",
        "day_sell_value",
    }
)


def test_market_order_fills(sandbox: Sandbox, kite: Any) -> None:
    """A protected market order completes, reads as LIMIT with ``mktp`` tags, and makes a position."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    order_id = buy(kite, tag="abc123")
    filled(sandbox, order_id)
    order = kite.orders()[0]
    assert set(order) >= ORDER_KEYS
    assert (order["order_type"], order["price"], order["average_price"]) == ("LIMIT", 918, 900)
    assert order["tags"] == ["abc123", "mktp", "mktp:2.00"]
    statuses = [state["status"] for state in kite.order_history(order_id)]
    assert statuses == [
        "PUT ORDER REQ RECEIVED",
        "VALIDATION PENDING",
        "OPEN PENDING",
        "OPEN",
        "COMPLETE",
    ]
    trades = kite.trades()
    assert set(trades[0]) == TRADE_KEYS
    assert len(trades[0]["order_timestamp"]) == 8
    assert kite.order_trades(order_id) == trades
    positions = kite.positions()
    assert set(positions["net"][0]) == set(positions["day"][0]) == POSITION_KEYS
    assert positions["net"][0]["quantity"] == 10
    assert kite.margins()["equity"]["net"] == 500_000 - 900 * 10 / 5


def test_order_numbers_come_in_both_forms(sandbox: Sandbox, kite: Any) -> None:
    """Fifteen and nineteen digits both occur."""
    lengths = {len(buy(kite, quantity=1)) for _ in range(6)}
    assert lengths == {15, 19}
    assert len(truth(sandbox)["orders"]) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"market_protection": None}, "Market orders without market protection"),
        ({"tag": "x" * 21}, "tag"),
        ({"order_type": "LIMIT", "price": 900.03}, "Tick size"),
        ({"quantity": 100_001}, "freeze limit"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "ten"}, "quantity"),
        ({"order_type": "LIMIT", "price": "nan"}, "price"),
        ({"tradingsymbol": "NOSUCH"}, "expired or does not exist"),
        ({"product": "BO"}, "product"),
        ({"market_protection": 101}, "market_protection"),
        ({"order_type": "SL-M", "trigger_price": 5}, "should be higher"),
    ],
)
def test_wrong_orders_are_input_errors(
    sandbox: Sandbox, kite: Any, changes: dict[str, Any], message: str
) -> None:
    """What is wrong with an order is refused with 400, entered in the ledger, and not applied."""
    with pytest.raises(kite_errors.InputException, match=message) as caught:
        buy(kite, **changes)
    assert caught.value.code == 400
    entry = sandbox.ask("GET", "/ledger", broker="kite")[-1]
    assert (entry["applied"], entry["method"]) == (False, "POST")
    assert truth(sandbox)["orders"] == []


def test_short_of_money_or_stock(sandbox: Sandbox, kite: Any) -> None:
    """Missing funds and missing stock are 400s whose type the SDK loses and whose text it keeps."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    with pytest.raises(kite_errors.GeneralException, match="Insufficient funds") as caught:
        buy(kite, quantity=5000)
    assert caught.value.code == 400
    with pytest.raises(kite_errors.GeneralException, match="Insufficient stock holding"):
        buy(kite, tradingsymbol="ITC", transaction_type="SELL", product="CNC", quantity=226)
    answer = raw(
        sandbox,
        kite,
        "POST",
        "/orders/regular",
        data={
            "exchange": "NSE",
            "tradingsymbol": "SBIN",
            "transaction_type": "BUY",
            "quantity": 5000,
            "product": "MIS",
            "order_type": "LIMIT",
            "price": 900,
        },
    )
    assert answer.json()["error_type"] == "MarginException"
    assert answer.json()["data"] is None


def test_modify_and_cancel(sandbox: Sandbox, kite: Any) -> None:
    """A resting order can be altered and cancelled, and refuses both once it is final."""
    order_id = resting(kite, sandbox)
    assert kite.modify_order("regular", order_id, quantity=7, price=880.5) == order_id
    order = kite.orders()[0]
    assert (order["quantity"], order["price"], order["modified"]) == (7, 880.5, True)
    assert kite.cancel_order("regular", order_id) == order_id
    order = kite.orders()[0]
    assert (order["status"], order["pending_quantity"], order["cancelled_quantity"]) == (
        "CANCELLED",
        7,
        7,
    )
    assert "tags" not in order
    with pytest.raises(kite_errors.OrderException, match="cancelled") as caught:
        kite.cancel_order("regular", order_id)
    assert caught.value.code == 400
    methods = [entry["method"] for entry in sandbox.ask("GET", "/ledger")]
    applied = [entry["applied"] for entry in sandbox.ask("GET", "/ledger")]
    assert methods == ["POST", "PUT", "DELETE", "DELETE"]
    assert applied == [True, True, True, False]


def test_twenty_five_modifications(sandbox: Sandbox, kite: Any) -> None:
    """The 26th modification is refused."""
    order_id = resting(kite, sandbox)

    def modify(price: float) -> bool:
        try:
            kite.modify_order("regular", order_id, price=price)
        except kite_errors.NetworkException:
            return False
        return True

    for step in range(25):
        eventually(lambda step=step: modify(880 + step / 2))  # type: ignore[misc]
    with pytest.raises(kite_errors.OrderException, match="modifications exceeded"):
        eventually(lambda: modify(870))


def test_limit_rests_until_crossed(sandbox: Sandbox, kite: Any) -> None:
    """A resting limit order trades at its own price once the market comes to it."""
    order_id = resting(kite, sandbox)
    assert kite.margins("equity")["net"] == 500_000 - 890 * 10 / 5
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 885})
    assert filled(sandbox, order_id)["average_price"] == 890


def test_stop_waits_for_its_trigger(sandbox: Sandbox, kite: Any) -> None:
    """A stop shows TRIGGER PENDING until its trigger is touched and then sells."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    filled(sandbox, buy(kite))
    stop = buy(
        kite, transaction_type="SELL", order_type="SL-M", trigger_price=890, market_protection=-1
    )
    eventually(lambda: row(sandbox, stop)["status"] == "TRIGGER PENDING")
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 889})
    assert filled(sandbox, stop)["average_price"] == 889
    net = kite.positions()["net"][0]
    assert (net["quantity"], net["pnl"]) == (0, -110)


def test_immediate_or_cancel(sandbox: Sandbox, kite: Any) -> None:
    """What an IOC order does not fill at once is cancelled, filled quantity kept."""
    sandbox.fault("partial_fill", quantity=4)
    order_id = buy(kite, validity="IOC")
    eventually(lambda: row(sandbox, order_id)["status"] == "CANCELLED")
    order = kite.orders()[0]
    assert (order["filled_quantity"], order["cancelled_quantity"]) == (4, 6)


def test_outside_the_session(sandbox: Sandbox, kite: Any) -> None:
    """No regular order is taken after 15:15; an AMO waits for the next open and fills there."""
    with pytest.raises(kite_errors.InputException, match="AMO"):
        buy(kite, variety="amo")
    sandbox.ask("POST", "/clock", {"to": "2026-11-23T15:16:00"})
    with pytest.raises(kite_errors.InputException, match="Markets are closed"):
        buy(kite)
    with pytest.raises(kite_errors.InputException, match="AMO"):
        buy(kite, variety="amo")
    sandbox.ask("POST", "/clock", {"to": "2026-11-23T15:46:00"})
    order_id = buy(kite, variety="amo")
    assert kite.orders()[0]["status"] == "AMO REQ RECEIVED"
    sandbox.ask("POST", "/clock", {"to": "2026-11-25T09:15:30"})
    book = eventually(lambda: truth(sandbox)["trades"])
    assert (book[0]["order_id"], book[0]["quantity"]) == (order_id, 10)


def test_intraday_is_squared_off(sandbox: Sandbox, kite: Any) -> None:
    """At the cut-off the broker cancels what works intraday and closes what is open."""
    filled(sandbox, buy(kite))
    order_id = resting(kite, sandbox)
    sandbox.ask("POST", "/clock", {"to": "2026-11-23T15:13:00"})
    eventually(lambda: kite.positions()["net"][0]["quantity"] == 0)
    orders = kite.orders()
    assert next(o for o in orders if o["order_id"] == order_id)["status"] == "CANCELLED"
    assert orders[-1]["placed_by"] == "ADMINSQF"


def test_delivery_becomes_a_holding(sandbox: Sandbox, kite: Any) -> None:
    """What is bought for delivery is T1 on the next trading day and settled a day later."""
    assert {h["tradingsymbol"] for h in kite.holdings()} == {"INFY", "ITC"}
    assert set(kite.holdings()[0]) == HOLDING_KEYS
    filled(sandbox, buy(kite, product="CNC"))
    filled(sandbox, buy(kite, product="CNC", tradingsymbol="ITC", transaction_type="SELL"))
    itc = next(h for h in kite.holdings() if h["tradingsymbol"] == "ITC")
    assert (itc["quantity"], itc["used_quantity"]) == (190, 10)
    for day, quantities in (("2026-11-25", (0, 10)), ("2026-11-26", (10, 0))):
        sandbox.ask("POST", "/clock", {"to": f"{day}T10:00:00"})
        held = next(h for h in truth(sandbox)["holdings"] if h["symbol"] == "SBIN")
        assert (held["quantity"], held["t1_quantity"]) == quantities
    assert truth(sandbox)["positions"] == []


def test_conversion(sandbox: Sandbox, kite: Any) -> None:
    """A position changes its product."""
    filled(sandbox, buy(kite))
    convert = {"exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY"}
    convert |= {"position_type": "day", "old_product": "MIS", "new_product": "CNC"}
    assert kite.convert_position(quantity=4, **convert) is True
    net = {p["product"]: p["quantity"] for p in kite.positions()["net"]}
    assert net == {"MIS": 6, "CNC": 4}
    with pytest.raises(kite_errors.InputException, match="convert"):
        kite.convert_position(quantity=7, **convert)


def test_autoslice(sandbox: Sandbox, kite: Any) -> None:
    """An order above the freeze limit is sliced; a slice may fail although the answer succeeds."""
    sandbox.ask("POST", "/market", {"symbol": "ITC", "last_price": 10})
    sliced = kite.place_autoslice_order(
        variety="regular",
        exchange="NSE",
        tradingsymbol="ITC",
        transaction_type="BUY",
        quantity=300_000,
        product="MIS",
        order_type="LIMIT",
        price=10,
    )
    kinds = ["order_id" if "order_id" in child else "error" for child in sliced["children"]]
    assert kinds == ["order_id", "order_id", "error"]
    assert sliced["children"][2]["error"]["error_type"] == "MarginException"
    assert kite.orders()[0]["tags"] == ["autoslice", f"autoslice:{sliced['order_id']}"]


def test_margin_of_an_order(sandbox: Sandbox, kite: Any) -> None:
    """The margin calculator knows the leverage of intraday orders."""
    order = {
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "transaction_type": "BUY",
        "variety": "regular",
        "product": "MIS",
        "order_type": "LIMIT",
        "quantity": 10,
        "price": 900,
    }
    assert kite.order_margins([order])[0]["total"] == 1800
    assert kite.basket_order_margins([order, order], mode="compact")["final"]["total"] == 3600
