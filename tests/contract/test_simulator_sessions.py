"""Hours of the simulated exchange by segment and day, and the orders refused outside of them.

Facts (kite.md 12, rules-2026.md, row 14): since 3 August 2026 shares with derivatives trade to 15:15,
other shares to 15:30, equity derivatives to 15:40; Sunday 1 February 2026 was a session; Muhurat.
"""

from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, market_order
from tests.fakes.kite_client import buy, filled, kite_client, kite_errors, log_in
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

SHARE = {"tradingsymbol": "SBIN", "exchange": "NSE"}
TWIN = {"tradingsymbol": "SBIN", "exchange": "BSE"}
SMALL = {"tradingsymbol": "AARON", "exchange": "NSE"}
FUTURE = {"tradingsymbol": "NIFTY26DECFUT", "exchange": "NFO", "product": "NRML", "quantity": 65}
ALL = (SHARE, TWIN, SMALL, FUTURE)


def at(sandbox: Sandbox, moment: str) -> None:
    sandbox.ask("POST", "/clock", {"to": moment})


def is_taken(kite: Any, instrument: dict[str, Any]) -> bool:
    """Place an order and say whether the broker took it; a closed market is the one excuse."""
    try:
        buy(kite, **instrument)
    except kite_errors.InputException as error:
        if "Markets are closed" not in str(error):
            raise
        return False
    return True


def rich(sandbox: Sandbox) -> Any:
    """Return a client with the money for a future."""
    account = {"broker": "kite", "api_key": "kitesimkey000001", "user_id": "AB1234"}
    sandbox.ask("POST", "/accounts", account | {"cash": 50_000_000})
    return log_in(sandbox)


@pytest.mark.parametrize(
    ("moment", "taken"),
    [
        ("2026-11-23T15:14:00", (True, True, True, True)),
        ("2026-11-23T15:15:00", (False, False, True, True)),
        ("2026-11-23T15:29:00", (False, False, True, True)),
        ("2026-11-23T15:30:00", (False, False, False, True)),
        ("2026-11-23T15:39:00", (False, False, False, True)),
        ("2026-11-23T15:40:00", (False, False, False, False)),
        ("2026-11-24T10:00:00", (False, False, False, False)),
        ("2026-11-25T09:14:00", (False, False, False, False)),
    ],
)
def test_each_segment_has_its_own_hours(
    sandbox: Sandbox, moment: str, taken: tuple[bool, ...]
) -> None:
    """A share with derivatives stops first, then one without, futures last."""
    at(sandbox, moment)
    kite = rich(sandbox)
    assert tuple(is_taken(kite, one) for one in ALL) == taken


def test_fyers_refuses_by_segment(sandbox: Sandbox, fyers: Account) -> None:
    """At 15:20 a share is refused (-99) while one without derivatives and a future trade."""
    at(sandbox, "2026-11-23T15:20:00")
    refused = fyers.api.place_order(market_order())
    assert (refused["code"], "closed" in refused["message"]) == (-99, True)
    assert fyers.api.place_order(market_order("NSE:AARON-EQ"))["code"] == 1101
    rows = fyers.api.market_status()["marketStatus"]
    phases = {(row["exchange"], row["segment"]): row["status"] for row in rows}
    assert phases[10, 11] == "OPEN"


def test_a_special_session_opens_an_evening(sandbox: Sandbox) -> None:
    """Muhurat: the day is closed by day, open for its hour, and squared off before its end."""
    body = {"day": "2026-11-26", "open": "18:00", "close": "19:00"}
    sandbox.ask("POST", "/sessions", body)
    at(sandbox, "2026-11-26T10:00:00")
    kite = rich(sandbox)
    assert not is_taken(kite, SHARE)
    at(sandbox, "2026-11-26T18:20:00")
    for instrument in ALL:
        assert is_taken(kite, instrument)

    def intraday() -> int:
        rows = [row for row in kite.positions()["net"] if row["product"] == "MIS"]
        return sum(row["quantity"] for row in rows)

    assert eventually(lambda: intraday() == 30)
    at(sandbox, "2026-11-26T18:44:00")
    assert intraday() == 30
    at(sandbox, "2026-11-26T18:46:00")
    assert {row["quantity"] for row in kite.positions()["net"] if row["product"] == "MIS"} == {0}
    at(sandbox, "2026-11-26T19:00:00")
    assert not is_taken(kite, SHARE)
    minutes = kite.historical_data(779521, "2026-11-26", "2026-11-26", "minute")
    assert len(minutes) == 60


@pytest.mark.parametrize(
    ("clock", "is_open"),
    [
        ("2026-11-28T11:00:00", False),
        ("2026-12-05T11:00:00", True),
        ("2026-12-07T11:00:00", False),
    ],
)
def test_a_saturday_can_open_and_a_monday_close(
    sandbox: Sandbox, clock: str, *, is_open: bool
) -> None:
    """The control port opens a Saturday and closes a day that was to be open."""
    sandbox.ask("POST", "/sessions", {"day": "2026-12-05", "open": "09:15", "close": "15:30"})
    sandbox.ask("POST", "/sessions", {"day": "2026-12-07"})
    at(sandbox, clock)
    assert is_taken(log_in(sandbox), SHARE) is is_open


def test_sessions_are_listed_and_checked(sandbox: Sandbox) -> None:
    """The hours of a day can be asked for; wrong ones are refused; a reset forgets what was set."""
    hours = sandbox.ask("GET", "/sessions", day="2026-11-23")["segments"]
    assert hours["derivatives"][1].startswith("2026-11-23T15:40")
    assert sandbox.ask("GET", "/sessions", day="2026-11-24")["segments"] == {}
    wrong = ({"day": "never"}, {"day": "2026-12-05", "open": "15:00", "close": "09:00"})
    for body in (*wrong, {"day": "2026-12-05", "open": "soon", "close": "09:00"}):
        assert sandbox.call("POST", "/sessions", body).status_code == 400
    sandbox.ask("POST", "/sessions", {"day": "2026-11-23"})
    assert sandbox.ask("GET", "/sessions")["segments"] == {}
    sandbox.ask("POST", "/reset")
    assert sandbox.ask("GET", "/sessions")["segments"]


# Futures and twins at BSE


def test_masters_list_futures_and_twins(sandbox: Sandbox, fyers: Account) -> None:
    """Three contracts of each underlying, with lot, expiry and Kite's token rule; BSE's shares."""
    rows = {item["tradingsymbol"]: item for item in kite_client(sandbox).instruments("NFO")}
    near = rows["NIFTY26NOVFUT"]
    assert (near["lot_size"], near["instrument_type"], near["segment"]) == (65, "FUT", "NFO-FUT")
    assert near["expiry"].isoformat() == "2026-11-23", "the 24th is a holiday"
    assert near["instrument_token"] == int(near["exchange_token"]) << 8 | 2
    months = {name for name in rows if name.startswith("SBIN")}
    assert months == {"SBIN26NOVFUT", "SBIN26DECFUT", "SBIN27JANFUT"}
    twin = {item["tradingsymbol"]: item for item in kite_client(sandbox).instruments("BSE")}
    assert twin["SBIN"]["instrument_token"] == 128028676
    answer = fyers.api.quotes({"symbols": "NSE:NIFTY26DECFUT,BSE:SBIN-A,NSE:SBIN-EQ"})["d"]
    assert [quote["s"] for quote in answer] == ["ok", "ok", "ok"]
    assert answer[1]["v"]["lp"] == answer[2]["v"]["lp"]
    assert answer[0]["v"]["fyToken"].startswith("1011261229")


def test_a_future_trades_and_is_carried(sandbox: Sandbox) -> None:
    """It follows its underlying, is carried over night, and has candles under its token."""
    kite = rich(sandbox)
    sandbox.ask("POST", "/market", {"symbol": "NIFTY 50", "last_price": 26000})
    order_id = buy(kite, **FUTURE)
    assert 26000 < filled(sandbox, order_id)["average_price"] < 26000 * 1.01
    with pytest.raises(kite_errors.InputException, match="multiple of 65"):
        buy(kite, **FUTURE | {"quantity": 50})
    with pytest.raises(kite_errors.InputException, match="freeze limit of 1755"):
        buy(kite, **FUTURE | {"quantity": 65 * 28})
    with pytest.raises(kite_errors.InputException, match="CNC"):
        buy(kite, **FUTURE | {"product": "CNC"})
    at(sandbox, "2026-11-25T10:00:00")
    kite = log_in(sandbox)
    net = kite.positions()["net"]
    assert [(row["tradingsymbol"], row["overnight_quantity"]) for row in net] == [
        ("NIFTY26DECFUT", 65)
    ]
    bars = kite.historical_data(net[0]["instrument_token"], "2026-11-23", "2026-11-23", "minute")
    assert len(bars) == 385
    at(sandbox, "2026-12-30T10:00:00")
    kite = log_in(sandbox)
    assert kite.positions()["net"] == []
    with pytest.raises(kite_errors.InputException, match="expired"):
        buy(kite, **FUTURE)
