"""The freeze quantity of an instrument at both simulated brokers.

Facts: an order above it is refused naming the limit unless it is sliced (kite.md 5.1); slices are at
most ten and each has an outcome of its own (kite.md 4.1, fyers.md 4.1); Fyers publishes it in its
JSON master, Kite's CSV has no such column (fyers.md 11, kite.md 7); some files state the smallest
quantity that is refused (rules-2026.md, row 13).
"""

from typing import Any

import pytest
import requests

from tests.fakes.fyers_sandbox import Account, limit_order, market_order
from tests.fakes.kite_client import buy, filled, kite_client, kite_errors, resting, truth
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")


def freeze(sandbox: Sandbox, quantity: int, **fields: Any) -> None:
    body = {"symbol": "SBIN", "freeze_quantity": quantity} | fields
    sandbox.ask("POST", "/instruments", body)


def master(sandbox: Sandbox) -> dict[str, Any]:
    """Return Fyers' JSON master, which needs no login."""
    with requests.Session() as http:
        http.trust_env = False
        address = sandbox.url("fyers") + "/sym_details/NSE_CM_sym_master.json"
        found: dict[str, Any] = http.get(address, timeout=60).json()
        return found


def test_kite_refuses_an_order_above_the_freeze(sandbox: Sandbox, kite: Any) -> None:
    """The refusal is a 400 that names the limit; the limit itself is taken."""
    freeze(sandbox, 100)
    with pytest.raises(kite_errors.InputException, match="freeze limit of 100 for SBIN") as caught:
        buy(kite, quantity=101)
    assert caught.value.code == 400
    filled(sandbox, buy(kite, quantity=100))
    filled(sandbox, buy(kite, quantity=200, tradingsymbol="ITC"))


def test_kite_refuses_a_change_above_the_freeze(sandbox: Sandbox, kite: Any) -> None:
    """A working order cannot grow beyond the limit, nor to a part of a lot."""
    order_id = resting(kite, sandbox)
    freeze(sandbox, 20, lot_size=5)
    for quantity, words in ((25, "freeze limit of 20"), (12, "multiple of 5")):
        with pytest.raises(kite_errors.InputException, match=words):
            kite.modify_order("regular", order_id, quantity=quantity)
    kite.modify_order("regular", order_id, quantity=20)


def test_a_limit_lowered_after_the_entry_holds_for_the_exit(sandbox: Sandbox, kite: Any) -> None:
    """The exchange may lower it while more is held: only slices can go out then."""
    filled(sandbox, buy(kite, quantity=120))
    freeze(sandbox, 50)
    with pytest.raises(kite_errors.InputException, match="freeze limit of 50"):
        buy(kite, quantity=120, transaction_type="SELL")
    for quantity in (50, 50, 20):
        filled(sandbox, buy(kite, quantity=quantity, transaction_type="SELL"))
    assert truth(sandbox)["positions"][0]["quantity"] == 0


def test_kite_slices_by_the_instrument_s_own_limit(sandbox: Sandbox, kite: Any) -> None:
    """Slices are whole lots below the limit; more than ten are refused and nothing is placed."""
    freeze(sandbox, 52, lot_size=5)
    order: dict[str, Any] = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "SBIN"}
    order |= {"transaction_type": "BUY", "product": "MIS", "order_type": "MARKET"}
    order |= {"market_protection": 2}
    sliced = kite.place_autoslice_order(quantity=120, **order)
    placed = [child["order_id"] for child in sliced["children"]]
    assert [filled(sandbox, one)["quantity"] for one in placed] == [50, 50, 20]
    with pytest.raises(kite_errors.InputException, match="more than 10 slices"):
        kite.place_autoslice_order(quantity=505, **order)
    assert len(truth(sandbox)["orders"]) == 3


def test_faults_strike_each_slice_alone(sandbox: Sandbox, kite: Any) -> None:
    """A fault of an order strikes the next slice, not the whole."""
    freeze(sandbox, 50)
    sandbox.fault("reject_later", message="RMS:Blocked")
    order: dict[str, Any] = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "SBIN"}
    order |= {"transaction_type": "BUY", "product": "MIS", "order_type": "MARKET"}
    kite.place_autoslice_order(quantity=100, market_protection=2, **order)
    final = {"COMPLETE", "REJECTED"}
    orders = eventually(
        lambda: (
            [o for o in truth(sandbox)["orders"] if o["status"] in final][1:]
            and truth(sandbox)["orders"]
        )
    )
    assert [o["status"] for o in orders] == ["REJECTED", "COMPLETE"]


def test_masters_publish_it_where_the_broker_does(sandbox: Sandbox) -> None:
    """Fyers' JSON has it, as text and maybe as the number that trips; Kite's CSV has no column."""
    freeze(sandbox, 1755, published_freeze=1756)
    rows = master(sandbox)
    assert rows["NSE:SBIN-EQ"]["qtyFreeze"] == "1756"
    assert rows["NSE:ITC-EQ"]["qtyFreeze"] == "100000"
    kite_row = kite_client(sandbox).instruments("NSE")[0]
    assert not [name for name in kite_row if "freeze" in name]


def test_fyers_refuses_and_slices(sandbox: Sandbox, fyers: Account) -> None:
    """-310 above the limit on placement and on a change; with isSliceOrder at most ten slices."""
    freeze(sandbox, 50)
    assert fyers.api.place_order(market_order(qty=51))["code"] == -310
    answer = fyers.api.place_order(market_order(qty=120, isSliceOrder=True))
    parts = [part["body"]["id"] for part in answer["data"]]
    assert [fyers.settled(one, "COMPLETE")["quantity"] for one in parts] == [50, 50, 20]
    assert fyers.api.place_order(market_order(qty=501, isSliceOrder=True))["code"] == -310
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    resting_id = fyers.api.place_order(limit_order(price=890))["id"]
    fyers.settled(resting_id, "OPEN")
    changed = fyers.api.modify_order({"id": resting_id, "type": 1, "qty": 51})
    assert changed["code"] == -310
    assert fyers.row(resting_id)["qty"] == 10


# Instruments of the control port


def test_an_instrument_can_be_delisted_and_added(sandbox: Sandbox, kite: Any) -> None:
    """A delisted symbol is in no master and takes no order; what is held of it stays visible."""
    filled(sandbox, buy(kite))
    sandbox.ask("POST", "/instruments", {"symbol": "SBIN", "is_listed": False})
    with pytest.raises(kite_errors.InputException, match="expired or does not exist"):
        buy(kite)
    assert kite.positions()["net"][0]["tradingsymbol"] == "SBIN"
    assert "SBIN" not in {item["tradingsymbol"] for item in kite.instruments("NSE")}
    assert "NSE:SBIN-EQ" not in master(sandbox)
    new = {"symbol": "M&M", "exchange_token": 2031, "name": "MAHINDRA & MAHINDRA"}
    new |= {"isin": "INE101A01026", "base_price": 3600}
    sandbox.ask("POST", "/instruments", new)
    filled(sandbox, buy(kite, tradingsymbol="M&M"))
    assert "NSE:M&M-EQ" in master(sandbox)
    sandbox.ask("POST", "/reset")
    listed = {item["key"] for item in sandbox.ask("GET", "/instruments")}
    assert "SBIN" in listed
    assert "M&M" not in listed


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"symbol": "SBIN", "colour": "red"}, "no field 'colour'"),
        ({"symbol": "SBIN", "freeze_quantity": "many"}, "must be of type int"),
        ({"symbol": "SBIN", "lot_size": 0}, "above 0"),
        ({"symbol": "NOBODY", "lot_size": 1}, "also needs"),
    ],
)
def test_wrong_instruments_are_refused(
    sandbox: Sandbox, fields: dict[str, Any], words: str
) -> None:
    """The answer says what is wrong."""
    answer = sandbox.call("POST", "/instruments", fields)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
