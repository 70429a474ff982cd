"""Login, gates and market data of the Kite simulator, through the official SDK."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from sandbox.kite import rate_limit
from tests.fakes.kite_client import (
    API_KEY,
    API_SECRET,
    USER,
    allow,
    buy,
    kite_client,
    kite_errors,
    log_in,
    patient,
    query_of,
    raw,
    truth,
)
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures",)

SESSION_KEYS = frozenset(
    {
        "user_type",
        "email",
        "user_name",
        "user_shortname",
        "broker",
        "exchanges",
        "products",
        "order_types",
        "avatar_url",
        "user_id",
        "api_key",
        "access_token",
        "public_token",
        "enctoken",
        "refresh_token",
        "silo",
        "login_time",
        "meta",
    }
)

QUOTE_KEYS = frozenset(
    {
        "instrument_token",
        "timestamp",
        "last_trade_time",
        "last_price",
        "last_quantity",
        "buy_quantity",
        "sell_quantity",
        "volume",
        "average_price",
        "oi",
        "oi_day_high",
        "oi_day_low",
        "net_change",
        "lower_circuit_limit",
        "upper_circuit_limit",
        "ohlc",
        "depth",
    }
)


def test_login_leads_back_with_a_code_and_the_echo(sandbox: Sandbox) -> None:
    """Allow answers 302 to the registered address with a request token and our own parameters."""
    kite = kite_client(sandbox)
    address = kite.login_url() + "&redirect_params=nonce%3Dn1%26x%3D2"
    page = requests.get(address, timeout=60)
    assert page.status_code == 200
    assert 'name="user_id"' in page.text
    answer = allow(address)
    assert answer.headers["Location"].startswith("http://127.0.0.1:8443/broker/callback/zerodha?")
    pairs = query_of(answer)
    assert (pairs["status"], pairs["action"], pairs["type"]) == ("success", "login", "login")
    assert (pairs["nonce"], pairs["x"]) == ("n1", "2")
    session = kite.generate_session(pairs["request_token"], API_SECRET)
    assert set(session) >= SESSION_KEYS
    assert session["user_id"] == USER
    assert kite.profile()["user_id"] == USER


def test_login_denied(sandbox: Sandbox) -> None:
    """Deny leads back with an error status and no code."""
    pairs = query_of(allow(kite_client(sandbox).login_url(), action="deny"))
    assert pairs["status"] == "error"
    assert "request_token" not in pairs


def test_exchange_refuses_what_is_wrong(sandbox: Sandbox) -> None:
    """A wrong secret, a used code and an unknown code are token errors; a used one stays used."""
    kite = kite_client(sandbox)
    token = query_of(allow(kite.login_url()))["request_token"]
    with pytest.raises(kite_errors.TokenException, match="checksum"):
        kite.generate_session(token, "wrong")
    kite.generate_session(token, API_SECRET)
    for code in (token, "unknown"):
        with pytest.raises(kite_errors.TokenException, match="invalid or has expired"):
            kite.generate_session(code, API_SECRET)


def test_newer_login_kills_the_older(sandbox: Sandbox, kite: Any) -> None:
    """A fresh login of the same app and user ends the session before it."""
    log_in(sandbox)
    with pytest.raises(kite_errors.TokenException) as caught:
        kite.profile()
    assert caught.value.code == 403
    assert str(caught.value) == "Incorrect `api_key` or `access_token`."


def test_tokens_die_at_six_by_expiry_and_by_logout(sandbox: Sandbox, kite: Any) -> None:
    """A session ends at 06:00 IST of the market clock, on request, and when it logs out."""
    sandbox.ask("POST", "/clock", {"to": "2026-11-24T05:59:00"})
    assert kite.profile()
    sandbox.ask("POST", "/clock", {"to": "2026-11-24T06:00:01"})
    with pytest.raises(kite_errors.TokenException):
        kite.profile()
    second = log_in(sandbox)
    sandbox.ask("POST", "/tokens/expire", {"broker": "kite", "api_key": API_KEY})
    with pytest.raises(kite_errors.TokenException):
        second.orders()
    third = log_in(sandbox)
    assert third.invalidate_access_token() is True
    with pytest.raises(kite_errors.TokenException):
        third.orders()
    logins = {one["api_key"]: one["has_logged_in"] for one in sandbox.ask("GET", "/accounts")}
    assert logins[API_KEY] is True
    assert set(logins.values()) == {True, False}


def test_an_app_admits_only_its_users(sandbox: Sandbox) -> None:
    """A user of another app is told so; once registered for the app, both users have a book."""
    login = kite_client(sandbox).login_url()
    assert "not enabled for the app" in allow(login, "CD5678").text
    account = {"broker": "kite", "api_key": API_KEY, "user_id": "CD5678"}
    sandbox.ask("POST", "/accounts", account)
    assert query_of(allow(login, "CD5678"))["status"] == "success"
    assert set(truth(sandbox)["users"]) == {USER, "CD5678"}


def test_faults_of_the_login(sandbox: Sandbox) -> None:
    """The broker may refuse the user, or let its cookie pick another one."""
    login = kite_client(sandbox).login_url()
    sandbox.fault("not_admitted")
    assert allow(login).status_code == 403
    sandbox.fault("other_user", user_id="EF9012")
    kite = kite_client(sandbox)
    token = query_of(allow(login))["request_token"]
    assert kite.generate_session(token, API_SECRET)["user_id"] == "EF9012"


def test_rate_limits(sandbox: Sandbox, kite: Any) -> None:
    """Too many quotes and orders of a second are refused with 429, and not carried out."""

    def asks(_: int) -> requests.Response:
        return raw(sandbox, kite, "GET", "/quote/ltp?i=NSE:SBIN")

    def buys(_: int) -> bool:
        try:
            return bool(buy(kite, quantity=1))
        except kite_errors.NetworkException:
            return False

    # Several at once: one after the other, a busy machine would take longer than a second.
    with ThreadPoolExecutor(12) as crowd:
        answers = eventually(lambda: [one for one in crowd.map(asks, range(4)) if not one.ok])
        done = eventually(lambda: None if all(some := [*crowd.map(buys, range(12))]) else some)
    refused = answers[0]
    assert (refused.status_code, refused.json()["error_type"]) == (429, "NetworkException")
    assert refused.json()["message"] == "Too many requests"
    entries = sandbox.ask("GET", "/ledger")[-12:]
    assert sum(entry["applied"] for entry in entries) == sum(done or ())


def test_orders_are_counted_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten in each, by the calendar; the eleventh is refused, and the next second begins anew."""
    now = 100.0
    monkeypatch.setattr(rate_limit, "real_now", lambda: now)
    limiter, limits = rate_limit.KiteRateLimiter(), (rate_limit.Limit(10, 1),)
    assert [limiter.admits("who", limits) for _ in range(11)] == [True] * 10 + [False]
    assert limiter.admits("another", limits)
    now = 100.99
    assert not limiter.admits("who", limits)
    now = 101.0
    assert limiter.admits("who", limits)


def test_personal_plan_has_no_data(sandbox: Sandbox) -> None:
    """A free plan trades but may not read prices, which is no login problem."""
    account = {"broker": "kite", "api_key": API_KEY, "user_id": USER, "plan": "personal"}
    sandbox.ask("POST", "/accounts", account)
    kite = log_in(sandbox)
    with pytest.raises(kite_errors.PermissionException) as caught:
        kite.quote("NSE:SBIN")
    assert caught.value.code == 403
    with pytest.raises(kite_errors.PermissionException):
        kite.historical_data(779521, "2026-11-20", "2026-11-20", "minute")
    assert buy(kite)


def test_static_address(sandbox: Sandbox) -> None:
    """Orders are taken from the registered address only; reads from anywhere; the ledger says."""
    account = {"broker": "kite", "api_key": API_KEY, "user_id": USER}
    sandbox.ask("POST", "/accounts", account | {"allowed_ips": ["127.0.0.9"]})
    kite = log_in(sandbox)
    with pytest.raises(
        kite_errors.PermissionException, match=r"IP \(127\.0\.0\.1\) is not allowed"
    ):
        buy(kite)
    assert kite.orders() == []
    assert sandbox.ask("GET", "/ledger")[-1]["source_ip"] == "127.0.0.1"


def test_unknown_route_and_date(sandbox: Sandbox, kite: Any) -> None:
    """Unknown routes answer in JSON, and every answer is dated by the market clock."""
    answer = raw(sandbox, kite, "GET", "/nowhere")
    assert (answer.status_code, answer.json()["status"]) == (404, "error")
    assert answer.headers["Date"].startswith("Mon, 23 Nov 2026 04:3")
    assert raw(sandbox, kite, "PATCH", "/orders/regular").status_code == 405
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = form | {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    address = sandbox.url("kite") + "/orders/regular"
    garbled = requests.post(address, data=b"\xff\xfe", headers=headers, timeout=60)
    assert (garbled.status_code, garbled.json()["error_type"]) == (400, "InputException")


def test_quotes(sandbox: Sandbox, kite: Any) -> None:
    """Quotes have Kite's fields; an unknown instrument is absent."""
    quotes = kite.quote("NSE:INFY", "NSE:NIFTY 50", "NSE:NOSUCH")
    assert set(quotes) == {"NSE:INFY", "NSE:NIFTY 50"}
    assert set(quotes["NSE:INFY"]) == QUOTE_KEYS
    assert len(quotes["NSE:INFY"]["depth"]["buy"]) == 5
    last = eventually(lambda: patient(lambda: kite.ltp("NSE:INFY")))
    assert last["NSE:INFY"]["instrument_token"] == 408065


def test_candles(sandbox: Sandbox, kite: Any) -> None:
    """Candles are the same at each reading, merge from minutes, and end with the running one."""
    day = ("2026-11-20 09:15:00", "2026-11-20 15:29:59")
    minutes = kite.historical_data(779521, *day, "minute")
    assert len(minutes) == 360
    assert str(minutes[0]["date"]) == "2026-11-20 09:15:00+05:30"
    fifteen = kite.historical_data(779521, *day, "15minute")
    assert len(fifteen) == 24
    assert fifteen[0]["high"] == max(bar["high"] for bar in minutes[:15])
    assert fifteen[0]["volume"] == sum(bar["volume"] for bar in minutes[:15])
    again = eventually(lambda: patient(lambda: kite.historical_data(779521, *day, "minute")))
    assert again == minutes
    running = eventually(
        lambda: patient(
            lambda: kite.historical_data(779521, "2026-11-23", "2026-11-23", "minute", oi=True)
        )
    )
    assert len(running) == 46
    assert "oi" in running[0]


def test_candles_refuse_long_spans(sandbox: Sandbox, kite: Any) -> None:
    """A span above the interval's cap is an input error."""
    with pytest.raises(kite_errors.InputException, match="interval exceeds max limit: 60 days"):
        kite.historical_data(779521, "2026-08-01", "2026-11-20", "minute")


def test_instruments_need_no_login(sandbox: Sandbox) -> None:
    """The instrument list is public CSV with Kite's tokens."""
    rows = kite_client(sandbox).instruments("NSE")
    tokens = {item["tradingsymbol"]: item["instrument_token"] for item in rows}
    assert tokens["SBIN"] == 3045 << 8 | 1
    assert tokens["INFY"] == 408065
    assert {item["segment"] for item in rows} == {"NSE", "INDICES"}
