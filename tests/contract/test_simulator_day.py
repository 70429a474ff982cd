"""What a broker does by itself on a day: its square-off, the purge of the night, conversions.

Facts: Zerodha squares cash off at 15:20 and derivatives at 15:25, Fyers both at 15:15 (kite.md 12,
fyers.md 12), shares that stop at 15:15 since August 2026 before that; the day's orders and positions
are listed until a purge in the early morning, and are empty then (kite.md 4.1).
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, FyersSandbox, market_order
from tests.fakes.kite_client import API_KEY, buy, filled, log_in, resting, row, truth
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

MINE = {"broker": "kite", "api_key": API_KEY}
FUTURE = {"tradingsymbol": "SBIN26DECFUT", "exchange": "NFO", "quantity": 750}
CUTOFFS = {"SBIN": "15:12", "AARON": "15:20", "NFO:SBIN26DECFUT": "15:25"}


def at(sandbox: Sandbox, moment: str) -> None:
    sandbox.ask("POST", "/clock", {"to": f"2026-11-{moment}"})


def net(sandbox: Sandbox) -> dict[str, int]:
    """Return what is open by symbol and product."""
    positions = truth(sandbox)["positions"]
    return {f"{p['symbol']} {p['product']}": p["quantity"] for p in positions}


def rich(sandbox: Sandbox) -> Any:
    sandbox.ask("POST", "/accounts", {**MINE, "user_id": "AB1234", "cash": 50_000_000})
    return log_in(sandbox)


def test_zerodha_squares_each_segment_off_at_its_time(sandbox: Sandbox) -> None:
    """Before its cut-off a position is untouched, after it closed by the RMS; NRML is left alone."""
    kite = rich(sandbox)
    for order in ({}, {"tradingsymbol": "AARON"}, FUTURE, FUTURE | {"product": "NRML"}):
        filled(sandbox, buy(kite, **order))
    for symbol, cutoff in CUTOFFS.items():
        hour, minute = cutoff.split(":")
        at(sandbox, f"23T{hour}:{int(minute) - 1:02d}:50")
        assert net(sandbox)[f"{symbol} MIS"] > 0
        at(sandbox, f"23T{cutoff}:05")
        eventually(lambda symbol=symbol: net(sandbox)[f"{symbol} MIS"] == 0)  # type: ignore[misc]
    assert net(sandbox)["NFO:SBIN26DECFUT NRML"] == 750
    closing = [o for o in kite.orders() if o["placed_by"] == "ADMINSQF"]
    assert [o["tradingsymbol"] for o in closing] == ["SBIN", "AARON", "SBIN26DECFUT"]
    assert {o["tag"] for o in closing} == {None}


def test_fyers_squares_off_at_its_own_times(sandbox: Sandbox, fyers: Account) -> None:
    """A share without derivatives goes at 15:15, five minutes before Zerodha's."""
    for symbol in ("NSE:SBIN-EQ", "NSE:AARON-EQ"):
        order_id = fyers.api.place_order(market_order(symbol))["id"]
        fyers.settled(order_id, "COMPLETE")

    def held() -> dict[str, int]:
        return {p["symbol"]: p["quantity"] for p in fyers.book["positions"]}

    at(sandbox, "23T15:12:05")
    eventually(lambda: held()["SBIN"] == 0)
    assert held()["AARON"] == 10
    at(sandbox, "23T15:15:05")
    eventually(lambda: held()["AARON"] == 0)
    rows = fyers.api.orderbook()["orderBook"]
    assert {row["source"] for row in rows if row["side"] == -1} == {"M"}


def test_working_intraday_orders_are_cancelled(sandbox: Sandbox, kite: Any) -> None:
    """Without a position too; delivery orders stay until the session ends."""
    intraday = resting(kite, sandbox)
    delivery = resting(kite, sandbox, product="CNC")
    at(sandbox, "23T15:12:05")
    eventually(lambda: row(sandbox, intraday)["status"] == "CANCELLED")
    assert row(sandbox, delivery)["status"] == "OPEN"


def test_the_square_off_may_not_fill(sandbox: Sandbox, kite: Any) -> None:
    """Without liquidity the RMS's order rests; it is sent once, and for what is left."""
    filled(sandbox, buy(kite))
    sandbox.ask("POST", "/market/liquidity", {"symbol": "SBIN", "quantity": 4})
    at(sandbox, "23T15:12:05")
    eventually(lambda: net(sandbox)["SBIN MIS"] == 6)
    at(sandbox, "23T15:13:00")
    closing = [o for o in truth(sandbox)["orders"] if o["placed_by"] == "ADMINSQF"]
    assert [(o["quantity"], o["filled_quantity"], o["status"]) for o in closing] == [
        (10, 4, "OPEN")
    ]


def test_the_broker_can_square_off_at_any_time(sandbox: Sandbox, kite: Any) -> None:
    """Missing margin: intraday orders are cancelled and positions closed, others are left."""
    filled(sandbox, buy(kite))
    filled(sandbox, buy(kite, quantity=3, product="CNC"))
    working = resting(kite, sandbox)
    assert sandbox.ask("POST", "/square-off", MINE) == {"closed": 1}
    eventually(lambda: net(sandbox) == {"SBIN MIS": 0, "SBIN CNC": 3})
    assert row(sandbox, working)["status"] == "CANCELLED"
    assert sandbox.ask("POST", "/square-off", MINE) == {"closed": 0}


# Conversions


def test_a_user_converts_a_position(sandbox: Sandbox, kite: Any) -> None:
    """A part of it, then the rest; what is delivery is not squared off, what is intraday is."""
    filled(sandbox, buy(kite))
    move = {**MINE, "symbol": "SBIN", "from": "MIS", "to": "CNC"}
    assert sandbox.ask("POST", "/positions/convert", move | {"quantity": 4}) == {"converted": 4}
    assert net(sandbox) == {"SBIN MIS": 6, "SBIN CNC": 4}
    sandbox.ask("POST", "/positions/convert", move)
    assert net(sandbox) == {"SBIN MIS": 0, "SBIN CNC": 10}
    assert len(kite.trades()) == 1, "a conversion is no trade"
    back = {**MINE, "symbol": "SBIN", "from": "CNC", "to": "MIS", "quantity": 7}
    sandbox.ask("POST", "/positions/convert", back)
    at(sandbox, "23T15:12:05")
    eventually(lambda: net(sandbox) == {"SBIN MIS": 0, "SBIN CNC": 3})


def test_wrong_conversions_are_refused(sandbox: Sandbox, kite: Any) -> None:
    """More than is held, and a product that there is not."""
    filled(sandbox, buy(kite))
    move = {**MINE, "symbol": "SBIN", "from": "MIS", "to": "CNC"}
    for fields in ({"quantity": 11}, {"to": "BO"}, {"symbol": "ITC"}):
        assert sandbox.call("POST", "/positions/convert", move | fields).status_code == 400


# The night


def test_the_day_is_listed_until_the_purge(sandbox: Sandbox) -> None:
    """After midnight yesterday's rows stand; at 05:10 they go, the carried ones too for a while."""
    kite = rich(sandbox)
    filled(sandbox, buy(kite))
    filled(sandbox, buy(kite, **FUTURE | {"product": "NRML"}))
    at(sandbox, "23T23:59:00")
    before = len(kite.orders())
    at(sandbox, "24T00:05:00")
    assert (len(kite.orders()), len(kite.trades())) == (before, before)
    assert {p["product"] for p in kite.positions()["net"]} == {"MIS", "NRML"}
    at(sandbox, "24T05:09:30")
    assert len(kite.orders()) == before
    at(sandbox, "24T05:10:30")
    assert (kite.orders(), kite.trades()) == ([], [])
    assert kite.positions() == {"net": [], "day": []}
    assert net(sandbox) == {"NFO:SBIN26DECFUT NRML": 750}, "it is there all the same"
    at(sandbox, "24T06:00:30")
    carried = log_in(sandbox).positions()["net"]
    assert [(p["tradingsymbol"], p["overnight_quantity"]) for p in carried] == [
        ("SBIN26DECFUT", 750)
    ]


@pytest.fixture
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FyersSandbox]:
    """A sandbox of its own, whose clock starts at night."""
    made = FyersSandbox(tmp_path_factory.mktemp("f"), "--clock", "2026-11-23T23:00:00*0.001")
    yield made
    made.close()


def test_an_order_for_the_morning_belongs_to_both_days(night: FyersSandbox) -> None:
    """Placed after midnight it is listed at once, after the purge, and when the market opens."""
    night.control("POST", "/clock", {"to": "2026-11-25T00:30:00"})
    account = night.login()
    order_id = account.api.place_order(market_order(offlineOrder=True))["id"]

    def is_listed() -> bool:
        return [r["id"] for r in account.api.orderbook()["orderBook"]] == [order_id]

    assert is_listed()
    night.control("POST", "/clock", {"to": "2026-11-25T05:30:00"})
    assert is_listed()
    night.control("POST", "/clock", {"to": "2026-11-25T09:15:30"})
    account.login()
    account.settled(order_id, "COMPLETE")
    assert is_listed()
