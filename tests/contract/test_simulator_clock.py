"""The `Date` header of the brokers' answers, by which a client can see that its clock is wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from tests.fakes.fyers_sandbox import Account
from tests.fakes.kite_client import API_KEY, raw
from tests.fakes.sandbox_process import Sandbox

pytest_plugins = ("tests.fakes.kite_fixtures", "tests.fakes.fyers_sandbox_fixtures")

MARKET = datetime(2026, 11, 23, 4, 30, 30, tzinfo=UTC)
"""What the sandbox's clock shows, which all but stands."""
NEAR = timedelta(seconds=20)


def ahead(answer: requests.Response) -> timedelta:
    """Return how far an answer's date is ahead of the market clock, to the second."""
    return parsedate_to_datetime(answer.headers["Date"]) - MARKET


def test_kite_s_date_is_skewed_for_whom_and_where_it_is_asked(sandbox: Sandbox, kite: Any) -> None:
    """A minute ahead for one app, behind on one path, right again when the fault is gone."""
    assert abs(ahead(raw(sandbox, kite, "GET", "/user/profile"))) < NEAR
    sandbox.fault("clock_skew", times=0, skew_s=60, match={"api_key": API_KEY})
    for path in ("/user/profile", "/orders", "/nowhere"):
        skewed = ahead(raw(sandbox, kite, "GET", path))
        assert abs(skewed - timedelta(seconds=60)) < NEAR
    sandbox.ask("DELETE", "/faults")
    sandbox.fault("clock_skew", times=0, skew_s=-45, match={"path": "/orders"})
    skewed = ahead(raw(sandbox, kite, "GET", "/orders"))
    assert abs(skewed + timedelta(seconds=45)) < NEAR
    assert abs(ahead(raw(sandbox, kite, "GET", "/user/profile"))) < NEAR


def test_fyers_date_is_skewed_so_many_times(sandbox: Sandbox, fyers: Account) -> None:
    """Two answers are half an hour ahead, the third is right."""
    match = {"api_key": fyers.app_id}
    sandbox.fault("clock_skew", "fyers", times=2, skew_s=1800, match=match)
    dates = [ahead(fyers.raw("GET", "/api/v3/profile")) for _ in range(3)]
    assert [round(date / timedelta(minutes=30)) for date in dates] == [1, 1, 0]


def test_a_skewed_date_spoils_nothing_else(sandbox: Sandbox, kite: Any) -> None:
    """The answer itself and the exchange's times are as ever."""
    sandbox.fault("clock_skew", times=0, skew_s=3600)
    answer = raw(sandbox, kite, "GET", "/user/profile")
    assert answer.json()["data"]["user_id"] == "AB1234"
    assert abs(datetime.fromisoformat(sandbox.ask("GET", "/clock")["now"]) - MARKET) < NEAR
    wrong = {"target": "kite", "kind": "clock_skew", "skew_s": "x"}
    assert sandbox.call("POST", "/faults", wrong).status_code == 400
