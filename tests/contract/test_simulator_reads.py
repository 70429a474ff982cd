"""Reads that are wrong although they succeed: stale, empty, or refused at one address alone.

Facts: the order book and the positions may lag behind and even be empty for hours in a good answer
(findings, "positions glitch"), each for itself; an outage may take one endpoint and spare the rest.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import buy, filled, kite_client, kite_errors, patient, raw, row, truth
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

Read = Callable[[Any], Any]
READS: dict[str, Read] = {
    "/orders": lambda kite: kite.orders(),
    "/trades": lambda kite: kite.trades(),
    "/portfolio/positions": lambda kite: kite.positions()["net"],
    "/portfolio/holdings": lambda kite: kite.holdings(),
}


def ask(kite: Any, read: Read) -> Any:
    """Read as soon as the broker's rate allows it."""
    return eventually(lambda: patient(lambda: (read(kite),)))[0]


def counts(kite: Any) -> dict[str, int]:
    """Return how many rows each read has."""
    return {path: len(ask(kite, read)) for path, read in READS.items()}


@pytest.mark.parametrize("path", READS)
def test_each_read_stands_still_alone(sandbox: Sandbox, kite: Any, path: str) -> None:
    """Without a delay an answer stays what it was when the fault was set; the others go on."""
    before = counts(kite)
    sandbox.fault("stale_reads", times=0, match={"path": path})
    filled(sandbox, buy(kite, product="CNC", tradingsymbol="ITC", transaction_type="SELL"))
    after = counts(kite)
    fresh = {name for name in READS if after[name] != before[name]}
    assert fresh == {"/orders", "/trades", "/portfolio/positions"} - {path}
    holdings = ask(kite, READS["/portfolio/holdings"])
    holding = next(h for h in holdings if h["tradingsymbol"] == "ITC")
    assert holding["used_quantity"] == (0 if path == "/portfolio/holdings" else 10)
    sandbox.ask("DELETE", "/faults")
    assert counts(kite)["/orders"] == 1


def test_reads_lag_behind(sandbox: Sandbox, kite: Any) -> None:
    """With a delay a read shows the state of so many seconds ago, and so catches up."""
    filled(sandbox, buy(kite))
    sandbox.fault("stale_reads", times=0, delay_s=1.5, match={"path": "/portfolio/positions"})
    started = time.monotonic()
    filled(sandbox, buy(kite, quantity=5))
    net = kite.positions()["net"]
    if time.monotonic() - started < 1.0:  # else the machine was too slow to see the old state
        assert sum(item["quantity"] for item in net) < 15

    def has_caught_up() -> bool:
        net = ask(kite, READS["/portfolio/positions"])
        return [item["quantity"] for item in net] == [15]

    eventually(has_caught_up)


def test_an_order_is_shown_in_its_earlier_state(sandbox: Sandbox, kite: Any) -> None:
    """A stale book shows a filled order as it was, a later one not at all; writes see the truth."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    resting = buy(kite, order_type="LIMIT", price=890, market_protection=None)
    eventually(lambda: row(sandbox, resting)["status"] == "OPEN")
    sandbox.fault("stale_reads", times=0, match={"path": "/orders", "method": "GET"})
    kite.modify_order("regular", resting, price=880)
    later = buy(kite, order_type="LIMIT", price=870, market_protection=None)
    kite.cancel_order("regular", later)
    (shown,) = kite.orders()
    assert (shown["price"], shown["status"]) == (890, "OPEN")
    assert [state["status"] for state in kite.order_history(resting)][-1] == "OPEN"
    with pytest.raises(kite_errors.OrderException, match="Couldn't find"):
        kite.order_history(later)
    assert row(sandbox, later)["status"] == "CANCELLED"


@pytest.mark.parametrize("path", READS)
def test_each_read_may_be_empty_alone(sandbox: Sandbox, kite: Any, path: str) -> None:
    """A good answer without rows, for a while: the account is as it was."""
    filled(sandbox, buy(kite))
    before = counts(kite)
    began = time.monotonic()
    sandbox.fault("empty_reads", times=0, lasts_s=1.5, match={"path": path})
    found = ask(kite, READS[path])
    if time.monotonic() - began < 1.5:  # else the machine was too slow to see it empty
        assert len(found) == 0
    assert truth(sandbox)["positions"][0]["quantity"] == 10
    eventually(lambda: len(ask(kite, READS[path])) == before[path])
    assert sandbox.ask("GET", "/faults") == []


def test_fyers_reads_can_be_stale_or_empty(sandbox: Sandbox, fyers: Account) -> None:
    """The same faults strike Fyers' books, each alone and for one app."""

    def books() -> tuple[int, int, int]:
        api = fyers.api
        rows = api.positions()["netPositions"], api.orderbook()["orderBook"]
        return len(rows[0]), len(rows[1]), len(api.tradebook()["tradeBook"])

    fyers.fault("stale_reads", times=0, match={"path": "/api/v3/positions"})
    order_id = fyers.api.place_order(market_order())["id"]
    fyers.settled(order_id, "COMPLETE")
    assert books() == (0, 1, 1)
    sandbox.ask("DELETE", "/faults")
    assert books() == (1, 1, 1)
    fyers.fault("empty_reads", times=0, match={"path": ["/api/v3/orders", "/api/v3/tradebook"]})
    assert books() == (1, 0, 0)
    assert fyers.api.positions()["overall"]["count_open"] == 1


# Partial outages


def test_an_outage_takes_the_paths_it_names(sandbox: Sandbox, kite: Any) -> None:
    """One fault with a list of paths: instruments and positions are down, the rest answers."""
    down = ["/instruments", "/portfolio/positions"]
    sandbox.fault("html", times=0, status=503, match={"path": down})
    for read in (kite.positions, lambda: kite.instruments("NSE")):
        with pytest.raises(kite_errors.DataException):
            read()
    assert kite.orders() == []
    assert kite.profile()
    sandbox.ask("DELETE", "/faults")
    assert kite_client(sandbox).instruments("NSE")


def test_one_master_of_fyers_can_be_down(sandbox: Sandbox) -> None:
    """A single file of the symbol master fails while the others are served."""
    sandbox.fault("http", "fyers", times=0, status=502, match={"path": "/sym_details/BSE_CM.csv"})
    with requests.Session() as http:
        http.trust_env = False
        root = sandbox.url("fyers") + "/sym_details/"
        assert http.get(root + "BSE_CM.csv", timeout=60).status_code == 502
        assert http.get(root + "NSE_CM.csv", timeout=60).status_code == 200


def test_a_fault_ends_by_itself(sandbox: Sandbox, kite: Any) -> None:
    """With lasts_s an outage ends without a word."""
    began = time.monotonic()
    sandbox.fault("http", times=0, lasts_s=1.0, status=503, match={"path": "/user/profile"})
    status = raw(sandbox, kite, "GET", "/user/profile").status_code
    if time.monotonic() - began < 1.0:  # else the machine was too slow to meet it
        assert status == 503
    eventually(lambda: raw(sandbox, kite, "GET", "/user/profile").status_code == 200)


def test_the_health_of_the_sandbox_meets_no_fault(sandbox: Sandbox, kite: Any) -> None:
    """A fault for any request waits for one of a client."""
    sandbox.fault("http", status=500)
    assert sandbox.ask("GET", "/health")["ok"] is True
    assert raw(sandbox, kite, "GET", "/user/profile").status_code == 500
