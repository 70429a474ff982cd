"""The simulated Fyers seen through the official SDK: login, sessions, limits, market data."""

import base64
import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.fyers.rate_limit import FyersRateLimiter
from sandbox.fyers.responses import FyersError
from tests.fakes.fyers_sandbox import Account, FyersSandbox, limit_order, redirect_fields

CLOCK = "2026-11-23T10:00:00"
QUOTES = {"symbols": "NSE:SBIN-EQ"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FyersSandbox]:
    made = FyersSandbox(tmp_path_factory.mktemp("fyers"), "--clock", CLOCK)
    yield made
    made.close()


@pytest.fixture
def own_sandbox(tmp_path: Path, sandbox: FyersSandbox) -> Iterator[FyersSandbox]:
    """A sandbox whose clock this test may move."""
    made = FyersSandbox(tmp_path, "--clock", CLOCK)
    yield made
    made.close()
    sandbox.aim()


@pytest.fixture(scope="module")
def shared(sandbox: FyersSandbox) -> Account:
    """An account for tests that only read."""
    return sandbox.login()


def claims(token: str) -> dict[str, Any]:
    head, payload, signature = token.split(".")
    assert head
    assert signature
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return decoded


# Login


def test_login_page_names_the_app_and_offers_both_answers(sandbox: FyersSandbox):
    """A user sees which app asks, finds the user id filled in, and may allow or deny."""
    account = sandbox.register()
    page = account.session.get(account.authcode_url())
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert account.app_id in page.text
    assert f'value="{account.user_id}"' in page.text
    assert re.findall(r'name="action" value="(\w+)"', page.text) == ["allow", "deny"]


def test_allowing_leads_back_with_a_code_that_buys_a_token(sandbox: FyersSandbox):
    """The redirect carries s, code, auth_code and state; the token opens the profile."""
    account = sandbox.register()
    fields = redirect_fields(account.decide(account.authcode_url()))
    assert (fields["s"], fields["code"], fields["state"]) == ("ok", "200", "st4te")
    assert claims(fields["auth_code"])["sub"] == "auth_code"
    answer = account.exchange(fields["auth_code"])
    assert (answer["s"], answer["code"], answer["message"]) == ("ok", 200, "")
    account.token = answer["access_token"]
    assert account.api.get_profile()["data"]["fy_id"] == account.user_id


def test_token_shows_its_user_and_dies_at_six_next_morning(shared: Account):
    """The token reads as a JWT whose exp is 06:00 IST of the market's next day."""
    payload = claims(shared.token)
    assert payload["fy_id"] == shared.user_id
    assert payload["sub"] == "access_token"
    assert payload["iss"] == "api.fyers.in"
    assert datetime.fromtimestamp(payload["exp"], UTC) == datetime(2026, 11, 24, 0, 30, tzinfo=UTC)


def test_denying_leads_back_with_an_error(sandbox: FyersSandbox):
    """A denial carries a message and the state, and no code to spend."""
    account = sandbox.register()
    fields = redirect_fields(account.decide(account.authcode_url(), "deny"))
    assert (fields["s"], fields["state"]) == ("error", "st4te")
    assert fields["message"]
    assert "auth_code" not in fields


@pytest.mark.parametrize(
    "changes", [{"client_id": "NOBODY-100"}, {"redirect_uri": "http://127.0.0.1:9/elsewhere"}]
)
def test_wrong_app_or_address_is_never_redirected(sandbox: FyersSandbox, changes: dict[str, str]):
    """An unregistered client or redirect address gets a page that says so, even on Allow."""
    account = sandbox.register()
    url = account.authcode_url(**changes)
    for answer in (account.session.get(url), account.decide(url)):
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        assert 'role="alert"' in answer.text


def test_wrong_response_type_leads_back_with_an_error(sandbox: FyersSandbox):
    """Only response_type=code is known."""
    account = sandbox.register()
    fields = redirect_fields(account.decide(account.authcode_url(response_type="token")))
    assert (fields["s"], fields["code"]) == ("error", "-50")


def test_code_serves_once(sandbox: FyersSandbox):
    """A spent, invented or foreign code answers -437."""
    account, other = sandbox.register(), sandbox.register()
    code = account.auth_code()
    assert other.exchange(code)["code"] == -437
    assert account.exchange(code)["s"] == "ok"
    refused = account.exchange(code)
    assert refused == {"s": "error", "code": -437, "message": "invalid auth code"}
    assert account.exchange("invented")["code"] == -437


def test_wrong_secret_is_refused(sandbox: FyersSandbox):
    """The hash of another secret answers -371 and leaves the code unspent."""
    account = sandbox.register()
    code = account.auth_code()
    assert account.exchange(code, secret_key="wrong")["code"] == -371
    assert account.exchange(code)["s"] == "ok"


def test_refresh_tokens_are_of_no_use(sandbox: FyersSandbox):
    """The path of the refresh token refuses since April 2026."""
    account = sandbox.register()
    answer = account.raw("POST", "/api/v3/validate-refresh-token", json={})
    assert answer.json()["code"] == -501


def test_user_who_is_not_admitted_comes_back_with_an_error(sandbox: FyersSandbox):
    """A user of another app, or one struck by the fault not_admitted, gets no code."""
    account, other = sandbox.register(), sandbox.register()
    url = account.authcode_url()
    fields = redirect_fields(account.decide(url, user_id=other.user_id))
    assert (fields["s"], fields["state"]) == ("error", "st4te")
    account.fault("not_admitted", match={})
    assert redirect_fields(account.decide(url))["s"] == "error"
    assert redirect_fields(account.decide(url))["s"] == "ok"


def test_cookie_of_another_user_shows_in_the_profile(sandbox: FyersSandbox):
    """The fault other_user gives a token of somebody else, as a stale browser session does."""
    account, other = sandbox.register(), sandbox.register()
    account.fault("other_user", match={}, user_id=other.user_id)
    account.login()
    assert claims(account.token)["fy_id"] == other.user_id
    assert account.api.get_profile()["data"]["fy_id"] == other.user_id


# Sessions


def assert_dead(account: Account) -> None:
    trading = account.raw("GET", "/api/v3/funds")
    assert trading.status_code == 401
    body = {"s": "error", "code": -16, "message": "Could not authenticate the user"}
    assert trading.json() == body
    assert account.api.funds() == body
    data = account.raw("GET", "/data/quotes", params=QUOTES)
    assert (data.status_code, data.json()["code"]) == (401, -15)
    assert account.api.quotes(QUOTES)["message"] == "Please provide valid token"


def test_invented_token_is_dead(sandbox: FyersSandbox):
    """A token nobody gave out answers 401: -16 on trading paths, -15 on data paths."""
    account = sandbox.register()
    account.token = "a.b.c"
    assert_dead(account)


def test_logout_ends_the_session(sandbox: FyersSandbox):
    """Logout takes the SDK's null body, ends the token, and says so when repeated."""
    account = sandbox.login()
    answer = account.api.logout()
    assert answer == {"s": "ok", "code": 200, "message": "you are successfully logged out"}
    assert_dead(account)
    again = account.api.logout()
    assert again == {"s": "error", "code": -16, "message": "Token is Invalid or Expired"}


def test_control_expires_tokens(sandbox: FyersSandbox):
    """`POST /tokens/expire` does what 06:00 does, to one app."""
    account, other = sandbox.login(), sandbox.login()
    sandbox.control("POST", "/tokens/expire", {"broker": "fyers", "api_key": account.app_id})
    assert_dead(account)
    assert other.api.funds()["s"] == "ok"


def test_token_dies_at_six_by_the_market_clock(own_sandbox: FyersSandbox):
    """A token lives until 05:59 of the next market day and is dead at 06:00."""
    account = own_sandbox.login()
    own_sandbox.control("POST", "/clock", {"to": "2026-11-24T05:59:30"})
    assert account.api.funds()["s"] == "ok"
    own_sandbox.control("POST", "/clock", {"to": "2026-11-24T06:00:00"})
    assert_dead(account)


def test_date_header_follows_the_market_clock(own_sandbox: FyersSandbox):
    """Every answer is dated by market time, refusals too."""
    own_sandbox.control("POST", "/clock", {"to": "2026-11-23T14:00:00"})
    answer = own_sandbox.register().raw("GET", "/api/v3/funds")
    dated = parsedate_to_datetime(answer.headers["Date"])
    drift = dated - datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert 0 <= drift.total_seconds() < 20


# Permission, address, rate


def test_plan_without_data_answers_403_on_data_paths(sandbox: FyersSandbox):
    """A missing permission is 403 and leaves the session alive."""
    account = sandbox.login(plan="personal")
    answer = account.raw("GET", "/data/quotes", params=QUOTES)
    assert (answer.status_code, answer.json()["code"]) == (403, -373)
    assert account.api.funds()["s"] == "ok"


def test_plan_without_orders_answers_403_on_order_paths(sandbox: FyersSandbox):
    """An app that kept data only may read its books and place nothing."""
    account = sandbox.login(plan="data")
    answer = account.raw("POST", "/api/v3/orders/sync", json=limit_order())
    assert (answer.status_code, answer.json()["code"]) == (403, -373)
    assert account.api.orderbook()["orderBook"] == []


def test_order_from_an_unlisted_address_is_refused(sandbox: FyersSandbox):
    """Order writes need a registered address, books do not; the ledger has the attempt."""
    account = sandbox.login(allowed_ips=["192.0.2.7"])
    refused = account.api.place_order(limit_order())
    assert refused["s"] == "error"
    assert "whitelist" in refused["message"]
    assert account.api.orderbook()["s"] == "ok"
    assert [row["applied"] for row in account.ledger] == [False]


def test_eleventh_call_of_a_second_is_throttled(sandbox: FyersSandbox):
    """More than ten calls in a second answer 429 with both headers; the wait they name helps."""
    account = sandbox.login()
    account.session.pace_s = 0.0
    refused: list[Any] = []
    for _ in range(30):  # on a busy machine fourteen calls may take longer than a second
        answers = [account.raw("GET", "/api/v3/funds") for _ in range(14)]
        if refused := [answer for answer in answers if answer.status_code == 429]:
            break
    assert refused
    assert {answer.json()["code"] for answer in refused} == {-429}
    assert int(refused[-1].headers["Retry-After"]) == 1
    wait_ms = int(refused[-1].headers["X-Retry-After-Ms"])
    assert 0 < wait_ms <= 1000
    account.session.pace_s = wait_ms / 1000
    account.raw("GET", "/api/v3/funds")
    assert account.api.funds()["s"] == "ok"


class _Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _overflow(limiter: FyersRateLimiter, seconds: _Seconds, day: date) -> None:
    for _ in range(201):
        seconds.now += 0.11
        limiter.admit(day)


def test_third_breach_of_the_minute_blocks_the_day():
    """200 calls a minute are served; three overfull minutes shut the app out until next day."""
    seconds, day = _Seconds(), date(2026, 11, 23)
    limiter = FyersRateLimiter(seconds)
    for breaches in (1, 2, 3):
        with pytest.raises(FyersError, match="limit reached"):
            _overflow(limiter, seconds, day)
        with pytest.raises(FyersError):
            limiter.admit(day)
        assert limiter.breaches == breaches
        seconds.now += 61
    with pytest.raises(FyersError, match="blocked"):
        limiter.admit(day)
    limiter.admit(date(2026, 11, 24))


# Market data


def test_quotes_of_both_forms_agree(shared: Account):
    """Query and JSON list give the same rows; a bad symbol is an error of its own row."""
    answer = shared.api.quotes({"symbols": "NSE:SBIN-EQ,NSE:NOBODY-EQ,NSE:NIFTY50-INDEX"})
    assert answer["s"] == "ok"
    good, bad, index = answer["d"]
    assert (good["n"], good["s"], good["v"]["symbol"]) == ("NSE:SBIN-EQ", "ok", "NSE:SBIN-EQ")
    assert good["v"]["low_price"] <= good["v"]["lp"] <= good["v"]["high_price"]
    assert bad["s"] == "error"
    assert bad["v"]["code"] == -300
    assert index["v"]["volume"] == 0
    second = shared.api.quotes_v2({"symbols": ["NSE:SBIN-EQ"]})
    assert second["d"][0]["v"]["fyToken"] == good["v"]["fyToken"] == "10100000003045"


def test_more_than_fifty_symbols_are_refused(shared: Account):
    """A question for fifty-one symbols answers -50."""
    assert shared.api.quotes({"symbols": ",".join(["NSE:SBIN-EQ"] * 51)})["code"] == -50


def test_depth_has_five_levels_on_each_side(shared: Account):
    """Bids fall and asks rise from the last price; the keys are `bids` and `ask`."""
    answer = shared.api.depth({"symbol": "NSE:SBIN-EQ", "ohlcv_flag": "1"})
    book = answer["d"]["NSE:SBIN-EQ"]
    bids = [level["price"] for level in book["bids"]]
    asks = [level["price"] for level in book["ask"]]
    assert len(bids) == len(asks) == 5
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert book["lower_ckt"] < book["ltp"] < book["upper_ckt"]
    assert {"o", "h", "l", "c"} <= set(book)
    assert shared.api.depth({"symbol": "NSE:NOBODY-EQ", "ohlcv_flag": "1"})["code"] == -300


def history(resolution: str, first: str, last: str, **fields: str) -> dict[str, str]:
    return {
        "symbol": "NSE:SBIN-EQ",
        "resolution": resolution,
        "date_format": "1",
        "range_from": first,
        "range_to": last,
        "cont_flag": "1",
    } | fields


def test_candles_add_up_over_resolutions(shared: Account):
    """A day's candle is made of its minutes, and a quarter of an hour of fifteen of them."""
    minutes = shared.api.history(history("1", "2026-11-20", "2026-11-20"))["candles"]
    quarters = shared.api.history(history("15", "2026-11-20", "2026-11-20"))["candles"]
    (day,) = shared.api.history(history("D", "2026-11-20", "2026-11-20"))["candles"]
    opened = int(datetime(2026, 11, 20, 3, 45, tzinfo=UTC).timestamp())
    assert minutes[0][0] == quarters[0][0] == opened
    assert quarters[0][2] == max(candle[2] for candle in minutes[:15])
    assert day[0] == int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
    assert day[1:5] == [
        minutes[0][1],
        max(candle[2] for candle in minutes),
        min(candle[3] for candle in minutes),
        minutes[-1][4],
    ]
    assert day[5] == sum(candle[5] for candle in minutes)


def test_history_knows_its_limits(shared: Account):
    """Epochs work, a day without trading has no data, long ranges and odd words are refused."""
    api = shared.api
    first = int(datetime(2026, 11, 20, 4, 0, tzinfo=UTC).timestamp())
    asked = history("5", str(first), str(first + 599), date_format="0", oi_flag="1")
    candles = api.history(asked)["candles"]
    assert [candle[0] for candle in candles] == [first, first + 300]
    assert all(len(candle) == 7 for candle in candles)
    assert api.history(history("5", "2026-11-22", "2026-11-22"))["s"] == "no_data"
    assert api.history(history("1", "2026-01-01", "2026-11-20"))["code"] == -50
    assert api.history(history("7", "2026-11-20", "2026-11-20"))["code"] == -50
    assert api.history(history("D", "2026-11-20", "yesterday"))["code"] == -50


def test_market_status_follows_the_session(own_sandbox: FyersSandbox):
    """Cash is open at 10:00 and closed at 18:00, derivatives run until 15:40."""
    account = own_sandbox.login()

    def phase(segment: int) -> str:
        rows = account.api.market_status()["marketStatus"]
        (row,) = [r for r in rows if (r["exchange"], r["segment"]) == (10, segment)]
        return str(row["status"])

    assert phase(10) == "OPEN"
    own_sandbox.control("POST", "/clock", {"to": "2026-11-23T15:35:00"})
    assert (phase(10), phase(11)) == ("CLOSED", "OPEN")
    own_sandbox.control("POST", "/clock", {"to": "2026-11-23T18:00:00"})
    assert (phase(10), phase(11)) == ("CLOSED", "CLOSED")


# Symbol masters


def test_symbol_master_is_public_and_consistent(sandbox: FyersSandbox, shared: Account):
    """The cash file has 21 columns without header; its tokens are those of the quotes."""
    answer = requests.get(f"{sandbox.url}/sym_details/NSE_CM.csv", timeout=60)
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = {row[9]: row for row in csv.reader(answer.text.splitlines())}
    assert all(len(row) == 21 for row in rows.values())
    sbin = rows["NSE:SBIN-EQ"]
    quoted = shared.api.quotes(QUOTES)["d"][0]["v"]
    assert sbin[0] == quoted["fyToken"]
    assert sbin[0].endswith(sbin[12])
    assert sbin[2:6] == ["0", "1", "0.05", "INE062A01020"]
    assert rows["NSE:NIFTY50-INDEX"][2] == "10"
    twin = requests.get(f"{sandbox.url}/sym_details/NSE_CM_sym_master.json", timeout=60).json()
    assert set(twin) == set(rows)
    assert twin["NSE:SBIN-EQ"]["exToken"] == int(sbin[12])


def test_other_masters_are_empty_or_missing(sandbox: FyersSandbox):
    """A segment without instruments has an empty file; an unknown name is 404."""
    empty = requests.get(f"{sandbox.url}/sym_details/MCX_COM.csv", timeout=60)
    assert (empty.status_code, empty.text) == (200, "")
    assert requests.get(f"{sandbox.url}/sym_details/XYZ.csv", timeout=60).status_code == 404
