"""Conditions of accounts and instruments that last: hung, rate limited, expired, at the circuit.

Each is set with one request for as many accounts as there are, and leaves the others alone.
"""

from typing import Any

import pytest
import requests

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import API_KEY, buy, filled, kite_errors, log_in, row, truth
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

SECOND, THIRD = ("kitesimkey000002", "k2" * 16, "CD5678"), ("kitesimkey000003", "k3" * 16, "EF9012")
CLOSE = {"tradingsymbol": "SBIN", "transaction_type": "SELL"}


def of(*keys: str) -> dict[str, Any]:
    return {"target": "kite", "times": 0, "match": {"api_key": list(keys)}}


def test_accounts_hang_and_are_limited_at_once(sandbox: Sandbox, kite: Any) -> None:
    """One request sets both; reads and writes of the two are struck, the third goes on."""
    limited, well = log_in(sandbox, *SECOND), log_in(sandbox, *THIRD)
    conditions = [
        {"kind": "hang"} | of(API_KEY),
        {"kind": "rate_limited", "lasts_s": 600} | of(SECOND[0]),
    ]
    assert len(sandbox.ask("POST", "/faults", {"faults": conditions})["ids"]) == 2
    kite.timeout = 1.0
    for ask in (kite.positions, lambda: buy(kite)):
        with pytest.raises(requests.exceptions.ReadTimeout):
            ask()
    for ask in (limited.positions, limited.orders, lambda: buy(limited)):
        with pytest.raises(kite_errors.NetworkException) as caught:
            ask()
        assert (str(caught.value), caught.value.code) == ("Too many requests", 429)
    assert filled_of(sandbox, buy(well), THIRD[0])
    writes = [(e["api_key"], e["applied"]) for e in sandbox.ask("GET", "/ledger")]
    assert writes == [(API_KEY, False), (SECOND[0], False), (THIRD[0], True)]
    sandbox.ask("DELETE", "/faults")
    kite.timeout = 60
    assert kite.orders() == limited.orders() == []


def filled_of(sandbox: Sandbox, order_id: str, api_key: str) -> bool:
    def look() -> bool:
        orders = truth(sandbox, api_key)["orders"]
        return [o["status"] for o in orders if o["order_id"] == order_id] == ["COMPLETE"]

    return eventually(look)


def test_fyers_names_the_time_that_is_left(sandbox: Sandbox, fyers: Account) -> None:
    """A limited account gets Fyers' own refusal with Retry-After, until the fault ends."""
    match = {"api_key": fyers.app_id}
    condition = {"target": "fyers", "kind": "rate_limited", "match": match, "times": 0}
    sandbox.ask("POST", "/faults", condition | {"lasts_s": 600})
    answer = fyers.raw("GET", "/api/v3/positions")
    assert (answer.status_code, answer.json()["code"]) == (429, -429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 600
    assert fyers.api.place_order(market_order())["code"] == -429
    assert fyers.book["orders"] == []
    sandbox.ask("DELETE", "/faults")
    assert fyers.raw("GET", "/api/v3/positions").status_code == 200


def test_one_wrong_fault_of_a_list_sets_none(sandbox: Sandbox, kite: Any) -> None:
    """The whole list is refused."""
    wrong = [{"kind": "hang"} | of(API_KEY), {"kind": "sulk"} | of(API_KEY)]
    for faults in (wrong, ["hang"], "hang"):
        assert sandbox.call("POST", "/faults", {"faults": faults}).status_code == 400
    assert sandbox.ask("GET", "/faults") == []
    assert kite.orders() == []


def test_sessions_of_several_apps_expire_at_once(sandbox: Sandbox, kite: Any) -> None:
    """Two are dead and the third lives; an app that is not there expires none."""
    second, third = log_in(sandbox, *SECOND), log_in(sandbox, *THIRD)
    for keys, status in (([API_KEY, "nobody"], 404), ([API_KEY, SECOND[0]], 200)):
        answer = sandbox.call("POST", "/tokens/expire", {"broker": "kite", "api_key": keys})
        assert answer.status_code == status
    assert answer.json() == {"expired": 2}
    for dead in (kite, second):
        with pytest.raises(kite_errors.TokenException):
            dead.orders()
    assert third.orders() == []


def test_nobody_buys_at_the_lower_circuit(sandbox: Sandbox, kite: Any, fyers: Account) -> None:
    """Sales rest at both brokers, purchases fill, and the quote shows no bid; then it trades on."""
    filled(sandbox, buy(kite))
    fyers.settled(fyers.api.place_order(market_order())["id"], "COMPLETE")
    locked = sandbox.ask("POST", "/market/circuit", {"symbol": "SBIN", "circuit": "lower"})
    quote = kite.quote("NSE:SBIN")["NSE:SBIN"]
    assert quote["last_price"] == quote["lower_circuit_limit"] == locked["last_price"]
    assert {level["quantity"] for level in quote["depth"]["buy"]} == {0}
    assert quote["depth"]["sell"][0]["quantity"] > 0
    sale = buy(kite, **CLOSE)
    other = fyers.api.place_order(market_order(side=-1))["id"]
    fyers.settled(other, "OPEN")
    filled(sandbox, buy(kite, quantity=5))
    assert row(sandbox, sale)["status"] == "OPEN"
    assert row(sandbox, sale)["filled_quantity"] == 0
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": locked["last_price"] + 1})
    filled(sandbox, sale)
    fyers.settled(other, "COMPLETE")


def test_nobody_sells_at_the_upper_circuit(sandbox: Sandbox, kite: Any) -> None:
    """Purchases rest; with null the price goes on from there and they fill."""
    sandbox.ask("POST", "/market/circuit", {"symbol": "SBIN", "circuit": "upper"})
    order_id = buy(kite)
    eventually(lambda: row(sandbox, order_id)["status"] == "OPEN")
    filled(sandbox, buy(kite, **CLOSE))
    assert row(sandbox, order_id)["status"] == "OPEN"
    sandbox.ask("POST", "/market/circuit", {"symbol": "SBIN", "circuit": None})
    filled(sandbox, order_id)
    wrong = {"symbol": "SBIN", "circuit": "middle"}
    assert sandbox.call("POST", "/market/circuit", wrong).status_code == 400
