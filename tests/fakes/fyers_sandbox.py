"""The simulators as a child process, and clients of the simulated Fyers built on its official SDK.

Three traps of the SDK are met here: it knows no timeout (the session has one), its address is
global to the process (set when a sandbox starts), and each model opens log files of its own (one
model a process, whose copies have a service each).
"""

import copy
import functools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from fyers_apiv3 import fyersModel

__all__ = ["Account", "FyersSandbox", "eventually", "limit_order", "market_order"]

PACE_S = 0.11
REDIRECT = "http://127.0.0.1:9/broker/callback/fyers"


def eventually(look: Callable[[], Any], timeout_s: float = 150.0) -> Any:
    """Return what a look gives as soon as it is truthy; fail after a deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"never came true; last seen {found!r}"
        time.sleep(0.02)


def limit_order(symbol: str = "NSE:SBIN-EQ", price: float = 1.0, **fields: Any) -> dict[str, Any]:
    """Return the body of a limit order to buy."""
    return market_order(symbol, type=1, limitPrice=price, **fields)


def market_order(symbol: str = "NSE:SBIN-EQ", **fields: Any) -> dict[str, Any]:
    """Return the body of a market order to buy."""
    body = {
        "symbol": symbol,
        "qty": 10,
        "type": 2,
        "side": 1,
        "productType": "INTRADAY",
        "limitPrice": 0,
        "stopPrice": 0,
        "validity": "DAY",
        "disclosedQty": 0,
        "offlineOrder": False,
    }
    return body | fields


class _Session(requests.Session):
    """A session with a timeout, which keeps below the broker's rate unless told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.timeout_s = 60.0
        self.pace_s = PACE_S
        self.last: requests.Response | None = None
        self._next = 0.0

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self.pace_s
        kwargs["timeout"] = self.timeout_s
        self.last = None
        self.last = super().request(*args, **kwargs)
        return self.last


@functools.cache
def _model(log_path: str) -> fyersModel.FyersModel:
    return fyersModel.FyersModel(client_id="", token="", log_path=log_path)


@dataclass
class Account:
    """A registered app with its user, and the SDK's client once logged in."""

    sandbox: "FyersSandbox"
    app_id: str
    secret: str
    user_id: str
    redirect: str
    token: str = ""
    session: _Session = field(default_factory=_Session)

    @property
    def book(self) -> dict[str, Any]:
        """The truth about this account."""
        found: dict[str, Any] = self.sandbox.control(
            "GET", "/book", broker="fyers", api_key=self.app_id
        )
        return found

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Every order write of this app."""
        rows: list[dict[str, Any]] = self.sandbox.control(
            "GET", "/ledger", broker="fyers", api_key=self.app_id
        )
        return rows

    def authcode_url(self, **changes: str) -> str:
        """Return the login address as the SDK builds it, with some fields changed."""
        fields = {
            "client_id": self.app_id,
            "redirect_uri": self.redirect,
            "response_type": "code",
            "state": "st4te",
        }
        url = fyersModel.SessionModel(**(fields | changes)).generate_authcode()
        assert isinstance(url, str)
        return url

    def decide(self, url: str, action: str = "allow", user_id: str = "") -> requests.Response:
        """Send the login form; the redirect is not followed."""
        form = {"user_id": user_id or self.user_id, "action": action}
        return self.session.post(url, data=form, allow_redirects=False)

    def auth_code(self) -> str:
        """Log in at the page and return the code of the redirect."""
        return redirect_fields(self.decide(self.authcode_url()))["auth_code"]

    def exchange(self, code: str, **changes: str) -> dict[str, Any]:
        """Exchange a code for a token with the SDK."""
        fields = {
            "client_id": self.app_id,
            "secret_key": self.secret,
            "grant_type": "authorization_code",
        }
        session = fyersModel.SessionModel(**(fields | changes))
        session.set_token(code)
        answer = session.generate_token()
        assert isinstance(answer, dict)
        return answer

    def login(self) -> "Account":
        """Go through the whole login."""
        self.token = self.exchange(self.auth_code())["access_token"]
        return self

    @property
    def api(self) -> Any:
        """The SDK's client for the present token."""
        model = copy.copy(_model(str(self.sandbox.log_path)))
        model.header = f"{self.app_id}:{self.token}"
        model.service = fyersModel.FyersServiceSync(model.api_logger, model.request_logger)
        model.service.session.close()
        model.service.session = self.session
        return model

    def raw(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Call a path that the SDK does not know, or look at status and headers."""
        headers = {"Authorization": f"{self.app_id}:{self.token}"}
        url = self.sandbox.url + path
        return self.session.request(method, url, headers=headers, **kwargs)

    def row(self, order_id: str) -> dict[str, Any]:
        """Return one row of the order book."""
        rows = self.api.orderbook({"id": order_id})["orderBook"]
        assert len(rows) == 1, rows
        found: dict[str, Any] = rows[0]
        return found

    def fault(self, kind: str, **fields: Any) -> None:
        """Set a fault for this app's next order write, or what `match` says."""
        match = {"api_key": self.app_id} | fields.pop("match", {"path": "/api/v3/orders/sync"})
        body = {"target": "fyers", "kind": kind, "match": match, **fields}
        self.sandbox.control("POST", "/faults", body)

    def settled(self, order_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until an order has one of some statuses of the exchange."""
        wanted = statuses or ("OPEN", "TRIGGER PENDING", "COMPLETE", "CANCELLED", "REJECTED")

        def look() -> Any:
            orders = self.book["orders"]
            return [o for o in orders if o["order_id"] == order_id and o["status"] in wanted]

        order: dict[str, Any] = eventually(look)[0]
        return order


def redirect_fields(answer: requests.Response) -> dict[str, str]:
    """Return the query of the address that a login leads back to."""
    assert answer.status_code == 302, answer.text
    location = urlsplit(answer.headers["Location"])
    assert location._replace(query="").geturl() == REDIRECT
    return {name: values[0] for name, values in parse_qs(location.query).items()}


class FyersSandbox:
    """The child process, its control port and the accounts made at it.

    With ``ports`` of a sandbox that runs already, no process is started or ended.
    """

    def __init__(self, log_path: Path, *options: str, ports: dict[str, int] | None = None) -> None:
        self.log_path = log_path
        self._accounts: list[Account] = []
        self._control = requests.Session()
        self._control.trust_env = False
        self.process: subprocess.Popen[str] | None = None
        if ports is None:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sandbox", *options],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
                text=True,
            )
            assert self.process.stdout is not None
            ports = json.loads(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{ports['fyers']}"
        self._control_url = f"http://127.0.0.1:{ports['control']}"
        self.aim()

    def aim(self) -> None:
        """Aim the SDK at this sandbox."""
        fyersModel.Config.API = f"{self.url}/api/v3"
        fyersModel.Config.DATA_API = f"{self.url}/data"

    def control(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Call the control port."""
        answer = self._control.request(
            method, self._control_url + path, json=body, params=query, timeout=60
        )
        assert answer.ok, answer.text
        return answer.json()

    def register(self, **fields: Any) -> Account:
        """Register an app and a user that no other test knows."""
        mark = uuid.uuid4().hex[:8].upper()
        account = Account(self, f"{mark}-100", f"SECRET{mark}", f"X{mark[:6]}", REDIRECT)
        body = {
            "broker": "fyers",
            "api_key": account.app_id,
            "api_secret": account.secret,
            "user_id": account.user_id,
            "user_name": f"Person {mark}",
            "cash": 200_000,
            "redirect_url": account.redirect,
        }
        self.control("POST", "/accounts", body | fields)
        self._accounts.append(account)
        return account

    def login(self, **fields: Any) -> Account:
        """Register an account and log it in."""
        return self.register(**fields).login()

    def close(self) -> None:
        """End the child and every connection to it."""
        for account in self._accounts:
            account.session.close()
        self._control.close()
        if self.process is None:
            return
        self.process.terminate()
        try:
            assert self.process.wait(300) == 0
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
