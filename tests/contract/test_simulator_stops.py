"""Triggered stops at both simulated brokers: they fill, or rest under their price protection.

Facts: a market or stop-market order with protection is a limit order, and what does not fill stays
open under the same order id (Kite, kite.md 5.3); Fyers converts by itself (fyers.md 10).
"""

from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import buy, filled, kite_errors, patient, resting, row
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")


def move(sandbox: Sandbox, price: float) -> None:
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": price})


def stop(kite: Any, sandbox: Sandbox, **changes: Any) -> str:
    """Buy ten at 900 and place a stop to sell them at 890, which waits."""
    move(sandbox, 900)
    filled(sandbox, buy(kite))
    wanted = {"order_type": "SL-M", "trigger_price": 890, "market_protection": 2} | changes
    order_id = buy(kite, transaction_type="SELL", **wanted)
    eventually(lambda: row(sandbox, order_id)["status"] == "TRIGGER PENDING")
    return order_id


def shown(kite: Any, order_id: str) -> dict[str, Any]:
    """Return an order as the broker lists it."""
    orders = eventually(lambda: patient(kite.orders))
    found: dict[str, Any] = next(o for o in orders if o["order_id"] == order_id)
    return found


def test_a_gap_beyond_the_protection_leaves_the_stop_open(sandbox: Sandbox, kite: Any) -> None:
    """890 less 2 percent is 872.2: at 870 nothing fills, and the order is OPEN under its old id."""
    order_id = stop(kite, sandbox)
    move(sandbox, 870)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    order = shown(kite, order_id)
    assert (order["filled_quantity"], order["price"], order["trigger_price"]) == (0, 872.2, 890)
    assert order["tags"] == ["mktp", "mktp:2.00"]
    assert order["market_protection"] == 0
    assert kite.positions()["net"][0]["quantity"] == 10
    move(sandbox, 880)
    assert filled(sandbox, order_id)["average_price"] == 872.2


def test_a_fall_within_the_protection_fills(sandbox: Sandbox, kite: Any) -> None:
    """The stop sells at the price that set it off, which is above its limit."""
    order_id = stop(kite, sandbox)
    move(sandbox, 873)
    assert filled(sandbox, order_id)["average_price"] == 873


def test_automatic_protection_has_a_limit_too(sandbox: Sandbox, kite: Any) -> None:
    """With -1 the broker chooses the percentage; the order may rest all the same."""
    order_id = stop(kite, sandbox, market_protection=-1)
    move(sandbox, 870)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    assert shown(kite, order_id)["tags"] == ["mktp"]
    assert 870 < shown(kite, order_id)["price"] < 890


def test_a_stop_limit_rests_at_its_own_limit(sandbox: Sandbox, kite: Any) -> None:
    """An SL order is a limit order once triggered."""
    order_id = stop(kite, sandbox, order_type="SL", price=888, market_protection=None)
    move(sandbox, 880)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    assert shown(kite, order_id)["filled_quantity"] == 0
    move(sandbox, 889)
    assert filled(sandbox, order_id)["average_price"] == 888


def test_a_resting_stop_can_be_chased(sandbox: Sandbox, kite: Any) -> None:
    """A triggered stop takes a new limit under the same id and fills there."""
    order_id = stop(kite, sandbox)
    move(sandbox, 870)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    kite.modify_order("regular", order_id, order_type="LIMIT", price=865)
    assert filled(sandbox, order_id)["average_price"] == 870


def test_without_liquidity_a_triggered_stop_does_not_fill(sandbox: Sandbox, kite: Any) -> None:
    """The price moves on, nobody buys: the order is OPEN, then fills in part and at last whole."""
    order_id = stop(kite, sandbox)
    sandbox.ask("POST", "/market/liquidity", {"symbol": "SBIN", "quantity": 0})
    move(sandbox, 885)
    eventually(lambda: shown(kite, order_id)["status"] == "OPEN")
    assert shown(kite, order_id)["filled_quantity"] == 0
    sandbox.ask("POST", "/market/liquidity", {"symbol": "SBIN", "quantity": 4})
    eventually(lambda: shown(kite, order_id)["filled_quantity"] == 4)
    sandbox.ask("POST", "/market/liquidity", {"symbol": "SBIN", "quantity": None})
    assert filled(sandbox, order_id)["average_price"] == 885


def test_liquidity_wants_a_number(sandbox: Sandbox) -> None:
    """A quantity that is none is refused with the reason."""
    for quantity in (-1, "all", 1.5):
        body = {"symbol": "SBIN", "quantity": quantity}
        answer = sandbox.call("POST", "/market/liquidity", body)
        assert answer.status_code == 400
        assert "whole number" in answer.json()["error"]
    assert sandbox.call("POST", "/market/liquidity", {"symbol": "SBIN"}).status_code == 400


def test_fyers_protects_a_stop_by_itself(sandbox: Sandbox, fyers: Account) -> None:
    """A type 3 order becomes a limit order about its trigger and stays pending (6) beyond it."""
    move(sandbox, 900)
    bought = fyers.api.place_order(market_order())["id"]
    fyers.settled(bought, "COMPLETE")
    body = market_order(type=3, side=-1, stopPrice=890)
    order_id = fyers.api.place_order(body)["id"]
    fyers.settled(order_id, "TRIGGER PENDING")
    assert fyers.row(order_id)["limitPrice"] == 0
    move(sandbox, 870)
    fyers.settled(order_id, "OPEN")
    order = fyers.row(order_id)
    assert (order["status"], order["filledQty"], order["stopPrice"]) == (6, 0, 890)
    assert 870 < order["limitPrice"] < 890
    assert fyers.api.positions()["netPositions"][0]["netQty"] == 10
    move(sandbox, 889)
    fyers.settled(order_id, "COMPLETE")


# The side of the trigger


WRONG_SIDE = [("SELL", 901, "lower"), ("SELL", 900, "lower"), ("BUY", 899, "higher")]


@pytest.mark.parametrize(("side", "trigger", "word"), WRONG_SIDE)
def test_kite_refuses_a_trigger_that_has_passed(
    sandbox: Sandbox, kite: Any, side: str, trigger: float, word: str
) -> None:
    """A trigger at or through the last price is an input error, and no order comes of it."""
    move(sandbox, 900)
    with pytest.raises(kite_errors.InputException, match=f"should be {word} than the last traded"):
        buy(kite, transaction_type=side, order_type="SL-M", trigger_price=trigger)
    assert kite.orders() == []


def test_kite_checks_the_side_on_a_change(sandbox: Sandbox, kite: Any) -> None:
    """A stop cannot be moved through the price; it stays as it was, and may move on its side."""
    order_id = stop(kite, sandbox)
    with pytest.raises(kite_errors.InputException, match=r"lower than .* \(900\.00\)"):
        kite.modify_order("regular", order_id, order_type="SL-M", trigger_price=905)
    order = shown(kite, order_id)
    assert (order["trigger_price"], order["status"]) == (890, "TRIGGER PENDING")
    assert order["modified"] is False
    kite.modify_order("regular", order_id, order_type="SL-M", trigger_price=895)
    assert shown(kite, order_id)["trigger_price"] == 895


def test_a_limit_order_becomes_a_stop_only_on_the_right_side(sandbox: Sandbox, kite: Any) -> None:
    """The check follows the order's type after the change."""
    order_id = resting(kite, sandbox)
    change = {"order_type": "SL-M", "market_protection": -1}
    with pytest.raises(kite_errors.InputException, match="should be higher"):
        kite.modify_order("regular", order_id, trigger_price=895, **change)
    kite.modify_order("regular", order_id, trigger_price=905, **change)
    assert shown(kite, order_id)["status"] == "TRIGGER PENDING"


def test_quantity_changes_whatever_the_price(sandbox: Sandbox, kite: Any) -> None:
    """Only a new trigger is compared with the price."""
    order_id = stop(kite, sandbox)
    sandbox.ask("POST", "/market/halt", {"symbol": "SBIN"})
    kite.modify_order("regular", order_id, quantity=7, order_type="SL-M", trigger_price=890)
    assert shown(kite, order_id)["quantity"] == 7


@pytest.mark.parametrize(("side", "limit"), [("SELL", 891), ("BUY", 909)])
def test_a_stop_limit_needs_its_limit_beyond_the_trigger(
    sandbox: Sandbox, kite: Any, side: str, limit: float
) -> None:
    """An SL order that could not trade once triggered is refused."""
    move(sandbox, 900)
    trigger = 890 if side == "SELL" else 910
    with pytest.raises(kite_errors.InputException, match="Trigger price cannot be"):
        buy(kite, transaction_type=side, order_type="SL", trigger_price=trigger, price=limit)


def test_fyers_checks_the_side_too(sandbox: Sandbox, fyers: Account) -> None:
    """A stop through the price is rejected (-99) when placed and refused (-163) when changed."""
    move(sandbox, 900)
    answer = fyers.api.place_order(market_order(type=3, side=-1, stopPrice=905))
    assert answer["code"] == -99
    assert "should be lower than the last traded price" in answer["message"]
    order_id = fyers.api.place_order(market_order(type=3, side=-1, stopPrice=890))["id"]
    fyers.settled(order_id, "TRIGGER PENDING")
    answer = fyers.api.modify_order({"id": order_id, "type": 3, "stopPrice": 905})
    assert answer["code"] == -163
    assert fyers.row(order_id)["stopPrice"] == 890
    changed = fyers.api.modify_order({"id": order_id, "type": 3, "stopPrice": 895})
    assert changed["code"] == 1102
    assert fyers.row(order_id)["stopPrice"] == 895
