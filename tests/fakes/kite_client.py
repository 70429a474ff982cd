"""The official Kite SDK against the simulator, logged in through the real redirect."""

import sys
import types
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.fakes.sandbox_process import Sandbox, eventually

if "kiteconnect.ticker" not in sys.modules:  # it would load Twisted
    _ticker = types.ModuleType("kiteconnect.ticker")
    _ticker.KiteTicker = object  # type: ignore[attr-defined]
    sys.modules["kiteconnect.ticker"] = _ticker

from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors

__all__ = [
    "API_KEY",
    "API_SECRET",
    "USER",
    "allow",
    "buy",
    "filled",
    "kite_client",
    "kite_errors",
    "log_in",
    "patient",
    "query_of",
    "raw",
    "resting",
    "row",
    "truth",
]

API_KEY = "kitesimkey000001"
API_SECRET = "k1" * 16
USER = "AB1234"


def kite_client(sandbox: Sandbox, api_key: str = API_KEY) -> Any:
    """Return an SDK client that is not logged in."""
    kite = KiteConnect(api_key, root=sandbox.url("kite"))
    kite.reqsession = requests.Session()
    kite.reqsession.trust_env = False
    kite._default_login_uri = sandbox.url("kite") + "/connect/login"
    return kite


def allow(address: str, user: str = USER, action: str = "allow") -> requests.Response:
    """Fill in the login page and return its answer, not followed."""
    with requests.Session() as http:
        http.trust_env = False
        form = {"user_id": user, "action": action}
        return http.post(address, data=form, allow_redirects=False, timeout=60)


def query_of(answer: requests.Response) -> dict[str, str]:
    """Return the query of the address that an answer leads to."""
    assert answer.status_code == 302, answer.text
    return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def log_in(
    sandbox: Sandbox, api_key: str = API_KEY, secret: str = API_SECRET, user: str = USER
) -> Any:
    """Return an SDK client that is logged in."""
    kite = kite_client(sandbox, api_key)
    token = query_of(allow(kite.login_url(), user))["request_token"]
    kite.set_access_token(kite.generate_session(token, secret)["access_token"])
    return kite


def buy(kite: Any, **changes: Any) -> str:
    """Place an order: ten SBIN at the market unless ``changes`` say otherwise."""
    order = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "transaction_type": "BUY",
        "quantity": 10,
        "product": "MIS",
        "order_type": "MARKET",
        "market_protection": 2,
    } | changes
    return str(kite.place_order(**order))


def resting(kite: Any, sandbox: Sandbox, **changes: Any) -> str:
    """Place a buy that rests below the market."""
    sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": 900})
    wanted = {"order_type": "LIMIT", "price": 890, "market_protection": None} | changes
    order_id = buy(kite, **wanted)
    eventually(lambda: row(sandbox, order_id)["status"] == "OPEN")
    return order_id


def truth(sandbox: Sandbox, api_key: str = API_KEY) -> dict[str, Any]:
    """Return what the exchange knows of an account."""
    found: dict[str, Any] = sandbox.ask("GET", "/book", broker="kite", api_key=api_key)
    return found


def row(sandbox: Sandbox, order_id: str) -> dict[str, Any]:
    """Return the truth about an order."""
    return next(o for o in truth(sandbox)["orders"] if o["order_id"] == order_id)


def filled(sandbox: Sandbox, order_id: str) -> dict[str, Any]:
    """Wait until an order is complete and return the truth about it."""
    eventually(lambda: row(sandbox, order_id)["status"] == "COMPLETE")
    return row(sandbox, order_id)


def raw(sandbox: Sandbox, kite: Any, method: str, path: str, **fields: Any) -> requests.Response:
    """Call a route without the SDK."""
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    with requests.Session() as http:
        http.trust_env = False
        address = sandbox.url("kite") + path
        return http.request(method, address, headers=headers, timeout=60, **fields)


def patient(ask: Any) -> Any:
    """Ask and return the answer, None when the broker says that it is too often."""
    try:
        return ask()
    except kite_errors.NetworkException:
        return None
