"""Orders that a user places, changes and fills in the broker's own app, beside those of an API.

Facts: the order book and the pushed frames show all of the user's orders, from any platform, those
of other apps without our tag (kite.md 8.2, fyers.md 8.2); postbacks go only to the app that placed
the order (kite.md 8.1).
"""

import re
from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, limit_order
from tests.fakes.kite_client import API_KEY, buy, filled, kite_errors, patient, resting, row
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

MINE = {"broker": "kite", "api_key": API_KEY}
SELL = {**MINE, "symbol": "SBIN", "side": "SELL", "quantity": 10, "product": "MIS"}


def by_hand(sandbox: Sandbox, **fields: Any) -> str:
    return str(sandbox.ask("POST", "/orders", SELL | fields)["order_id"])


def shown(kite: Any, order_id: str) -> dict[str, Any]:
    orders = eventually(lambda: patient(kite.orders))
    found: dict[str, Any] = next(o for o in orders if o["order_id"] == order_id)
    return found


def test_a_hand_order_is_in_the_books_and_not_in_the_ledger(sandbox: Sandbox, kite: Any) -> None:
    """It closes what the app bought; it has no tag, and no API received it."""
    filled(sandbox, buy(kite, tag="ours"))
    order_id = by_hand(sandbox)
    filled(sandbox, order_id)
    order = shown(kite, order_id)
    assert (order["tag"], "tags" in order) == (None, False)
    assert order["placed_by"] == "AB1234"
    assert kite.positions()["net"][0]["quantity"] == 0
    assert [trade["order_id"] == order_id for trade in kite.trades()] == [False, True]
    assert [entry["tag"] for entry in sandbox.ask("GET", "/ledger")] == ["ours"]


def test_a_hand_order_can_rest(sandbox: Sandbox, kite: Any) -> None:
    """A limit above the market works beside our orders until it is cancelled by hand."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    filled(sandbox, buy(kite))
    order_id = by_hand(sandbox, order_type="LIMIT", price=910)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    sandbox.ask("DELETE", f"/orders/{order_id}")
    assert shown(kite, order_id)["status"] == "CANCELLED"
    again = sandbox.call("DELETE", f"/orders/{order_id}")
    assert again.status_code == 400
    assert "already cancelled" in again.json()["error"]


def test_our_working_order_is_changed_by_hand(sandbox: Sandbox, kite: Any) -> None:
    """The user may move the trigger of our stop or lower its quantity; the tag stays ours."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    filled(sandbox, buy(kite))
    stop = buy(kite, transaction_type="SELL", order_type="SL-M", trigger_price=890, tag="stop1")
    eventually(lambda: row(sandbox, stop)["status"] == "TRIGGER PENDING")
    sandbox.ask("PATCH", f"/orders/{stop}", {"trigger_price": 880, "quantity": 4})
    order = shown(kite, stop)
    assert (order["trigger_price"], order["quantity"], order["modified"]) == (880, 4, True)
    assert (order["tag"], order["status"]) == ("stop1", "TRIGGER PENDING")
    wrong = sandbox.call("PATCH", f"/orders/{stop}", {"trigger_price": 905})
    assert "should be lower than" in wrong.json()["error"]
    sandbox.ask("DELETE", f"/orders/{stop}")
    assert shown(kite, stop)["status"] == "CANCELLED"
    with pytest.raises(kite_errors.OrderException):
        kite.cancel_order("regular", stop)


def test_an_order_is_filled_by_hand(sandbox: Sandbox, kite: Any) -> None:
    """A part first, then the rest at another price, though the market is away from its limit."""
    order_id = resting(kite, sandbox)
    sandbox.ask("POST", f"/orders/{order_id}/fill", {"quantity": 4, "price": 889})
    order = shown(kite, order_id)
    assert (order["status"], order["filled_quantity"], order["average_price"]) == ("OPEN", 4, 889)
    too_much = sandbox.call("POST", f"/orders/{order_id}/fill", {"quantity": 7})
    assert "Only 6 may still fill" in too_much.json()["error"]
    sandbox.ask("POST", f"/orders/{order_id}/fill")
    assert shown(kite, order_id)["status"] == "COMPLETE"
    assert kite.positions()["net"][0]["quantity"] == 10


def test_the_broker_checks_hand_orders_too(sandbox: Sandbox, kite: Any) -> None:
    """Money, stock, hours and spelling; an unknown account or order is not found."""
    for fields, words in (
        ({"quantity": 90_000}, "Insufficient funds"),
        ({"product": "CNC", "quantity": 1}, "Insufficient stock holding"),
        ({"symbol": "NOBODY"}, "does not exist"),
        ({"side": "HOLD"}, "side must be one of"),
        ({"quantity": "ten"}, "whole number"),
        ({"price": "dear", "order_type": "LIMIT"}, "must be a number"),
    ):
        refused = sandbox.call("POST", "/orders", SELL | fields)
        assert refused.status_code == 400
        assert words in refused.json()["error"]
    assert sandbox.call("POST", "/orders", SELL | {"api_key": "nobody"}).status_code == 404
    assert sandbox.call("DELETE", "/orders/1").status_code == 404
    sandbox.ask("POST", "/clock", {"to": "2026-11-23T15:20:00"})
    assert "closed" in sandbox.call("POST", "/orders", SELL).json()["error"]
    assert kite.orders() == []


def test_fyers_shows_a_hand_order_from_the_phone(sandbox: Sandbox, fyers: Account) -> None:
    """It has Fyers' form of an id, no tag of ours, and the phone as its source."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    ours = fyers.api.place_order(limit_order(price=890, orderTag="Ours1"))["id"]
    mine = {"broker": "fyers", "user_id": fyers.user_id, "symbol": "NSE:SBIN"}
    body = mine | {"side": "BUY", "quantity": 3}
    hand = sandbox.ask("POST", "/orders", body)["order_id"]
    assert re.fullmatch(r"261123\d{8}", hand)
    fyers.settled(hand, "COMPLETE")
    order = fyers.row(hand)
    assert (order["orderTag"], order["source"], order["filledQty"]) == ("2:Untagged", "M", 3)
    assert fyers.row(ours)["source"] == "ITS"
    assert fyers.api.positions()["netPositions"][0]["netQty"] == 3
    sandbox.ask("PATCH", f"/orders/{ours}", {"price": 880})
    assert fyers.row(ours)["limitPrice"] == 880
    assert len(fyers.ledger) == 1
