"""Registered apps, their users and their logins, for every simulated broker.

An *app* is what a developer registers at a broker (API key, secret, redirect address); a *user* is
a client of the broker with cash and holdings. An app may admit several users, a user may use
several apps, and every app of a user sees the same portfolio. Each broker starts with three apps of
one user each, with fixed keys (``apps.py`` of each simulator).

Redirects. ``POST /accounts`` with an ``api_key`` that exists updates the app (and adds the user),
so ``saarthi demo`` registers its own accounts, or sets the ``redirect_url`` of built-in ones. A
built-in app's ``redirect_url`` is empty at first, which means
``{redirect base}`` and the broker's callback path (``/broker/callback/zerodha``), with the base
from ``--redirect-base`` (default ``http://127.0.0.1:8443``). Where the login request names a
redirect address (Fyers), ``redirect_allowed`` also admits that callback path on any loopback host
and port for such an app. Otherwise the address must equal the registered one.

Lifetimes. A login code is single use and valid for five real minutes. A session ends at 06:00 IST
of the next morning by the market clock, at ``expire``, at ``close``, and when the same app and user
log in again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from sandbox.clock import IST, MarketClock, real_now
from sandbox.simulators import SimulatedBroker
from sandbox.state import State

__all__ = ["AccountError", "Accounts", "App", "Code", "Session", "User"]

CODE_LIFE_S = 300.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MORNING = time(6, 0)

_HOLDINGS = [
    {"symbol": "INFY", "quantity": 40, "average_price": 1432.5, "t1_quantity": 0},
    {"symbol": "ITC", "quantity": 200, "average_price": 388.4, "t1_quantity": 25},
]


_USERS = (("Asha Bhat", 500_000.0), ("Chetan Desai", 250_000.0), ("Esha Fernandes", 1_000_000.0))


class AccountError(ValueError):
    """A registration that cannot be made; the message says what is wrong."""


@dataclass
class User:
    """A client of a broker.

    Attributes:
        cash: Opening balance in rupees.
        holdings: Rows of ``symbol, quantity, average_price, t1_quantity, collateral_quantity`` held
            from the start; pledged shares (collateral) are not part of ``quantity``.
    """

    broker: str
    user_id: str
    user_name: str
    cash: float
    holdings: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class App:
    """A registered app; ``users`` are the ids it admits.

    ``plan`` is ``connect`` or ``personal`` (no market data); ``allowed_ips`` restricts the source
    of order writes when it is not empty.
    """

    broker: str
    api_key: str
    api_secret: str
    redirect_url: str = ""
    postback_url: str = ""
    allowed_ips: list[str] = field(default_factory=list)
    plan: str = "connect"
    users: list[str] = field(default_factory=list)
    built_in: bool = False


@dataclass
class Code:
    """A login code: Kite's request_token, Fyers' auth_code."""

    broker: str
    code: str
    api_key: str
    user_id: str
    issued_real: float
    used: bool = False


@dataclass
class Session:
    """A login; times are ISO texts of market time."""

    broker: str
    token: str
    api_key: str
    user_id: str
    login_time: str
    expires_at: str
    dead: bool = False


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name) or ""
    if not isinstance(value, str):
        raise AccountError(f"{name} must be a text")
    return value


class Accounts:
    """All apps, users, codes and sessions, kept in the sandbox's state.

    Args:
        clock: Market time, for the life of sessions.
        state: Where they are kept.
        redirect_base: Where logins of built-in apps without a redirect address lead.
        brokers: The simulated brokers by name.
    """

    def __init__(
        self,
        clock: MarketClock,
        state: State,
        redirect_base: str,
        brokers: Mapping[str, SimulatedBroker],
    ) -> None:
        self._clock = clock
        self._state = state
        self._brokers = brokers
        self.redirect_base = redirect_base.rstrip("/")
        self._apps: dict[str, App] = {}
        self._users: dict[str, User] = {}
        self._codes: dict[str, Code] = {}
        self._sessions: dict[str, Session] = {}
        self.load()

    def load(self) -> None:
        """Read everything from the state; make the built-in accounts when it is empty."""
        self._apps = {key: App(**value) for key, value in self._state.group("app").items()}
        self._users = {key: User(**value) for key, value in self._state.group("user").items()}
        self._codes = {key: Code(**value) for key, value in self._state.group("code").items()}
        self._sessions = {
            key: Session(**value) for key, value in self._state.group("session").items()
        }
        if not self._apps:
            for data in _built_in(self._brokers):
                self.register(data).built_in = True
            for key, app in self._apps.items():
                self._state.put("app", key, asdict(app))

    def register(self, data: Mapping[str, Any]) -> App:
        """Register or update an app and its user from the JSON of ``POST /accounts``.

        Fields that are left out keep their value, or take a default on a new app.

        Raises:
            AccountError: A required field is missing or of the wrong type.
        """
        broker, api_key, user_id = (_text(data, k) for k in ("broker", "api_key", "user_id"))
        if broker not in self._brokers:
            raise AccountError(f"broker must be one of {list(self._brokers)}")
        if not api_key or not user_id:
            raise AccountError("api_key and user_id are required")
        app = self.app(broker, api_key)
        if app is None:
            if not _text(data, "api_secret"):
                raise AccountError("api_secret is required")
            app = App(broker, api_key, _text(data, "api_secret"))
        for name in ("api_secret", "redirect_url", "postback_url", "plan"):
            if data.get(name) is not None:
                setattr(app, name, _text(data, name))
        if data.get("allowed_ips") is not None:
            app.allowed_ips = [str(address) for address in data["allowed_ips"]]
        if user_id not in app.users:
            app.users.append(user_id)
        self._register_user(broker, user_id, data)
        self._apps[f"{broker}:{api_key}"] = app
        self._state.put("app", f"{broker}:{api_key}", asdict(app))
        return app

    def _register_user(self, broker: str, user_id: str, data: Mapping[str, Any]) -> None:
        key = f"{broker}:{user_id}"
        user = self._users.get(key) or User(broker, user_id, user_id, 100_000.0)
        if data.get("user_name"):
            user.user_name = _text(data, "user_name")
        try:
            if data.get("cash") is not None:
                user.cash = float(data["cash"])
            if data.get("holdings") is not None:
                user.holdings = [_holding(row) for row in data["holdings"]]
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise AccountError(f"cash or holdings cannot be read: {error}") from error
        self._users[key] = user
        self._state.put("user", key, asdict(user))

    def apps(self, broker: str | None = None) -> list[App]:
        """Return the registered apps, of one broker or of all."""
        return [app for app in self._apps.values() if broker in {None, app.broker}]

    def app(self, broker: str, api_key: str) -> App | None:
        """Return an app, or None."""
        return self._apps.get(f"{broker}:{api_key}")

    def user(self, broker: str, user_id: str) -> User | None:
        """Return a user, or None."""
        return self._users.get(f"{broker}:{user_id}")

    def other_user(self, broker: str, user_id: str) -> User | None:
        """Return some other user of the broker, for the fault ``other_user``."""
        for user in self._users.values():
            if user.broker == broker and user.user_id != user_id:
                return user
        return None

    def redirect_url(self, app: App) -> str:
        """Return the address that an app's login leads back to."""
        return app.redirect_url or self.redirect_base + self._brokers[app.broker].callback_path

    def redirect_allowed(self, app: App, address: str) -> bool:
        """Return whether a login page may lead to an address that the request names."""
        if address == self.redirect_url(app):
            return True
        parts = urlsplit(address)
        return (
            not app.redirect_url
            and app.built_in
            and parts.scheme in {"http", "https"}
            and parts.hostname in _LOOPBACK
            and parts.path == self._brokers[app.broker].callback_path
        )

    def issue_code(self, app: App, user_id: str, code: str | None = None) -> str:
        """Make a login code for a user who allowed the app."""
        made = Code(app.broker, code or secrets.token_hex(16), app.api_key, user_id, real_now())
        self._codes[f"{app.broker}:{made.code}"] = made
        self._state.put("code", f"{app.broker}:{made.code}", asdict(made))
        return made.code

    def redeem_code(self, app: App, code: str) -> User | None:
        """Spend a login code; None when it is unknown, used, too old or another app's."""
        found = self._codes.get(f"{app.broker}:{code}")
        if found is None or found.used or found.api_key != app.api_key:
            return None
        if real_now() - found.issued_real > CODE_LIFE_S:
            return None
        found.used = True
        self._state.put("code", f"{app.broker}:{code}", asdict(found))
        return self.user(app.broker, found.user_id)

    def open_session(self, app: App, user_id: str, token: str | None = None) -> Session:
        """Log a user in; an older session of the same app and user dies.

        Args:
            app: The app that logs in.
            user_id: The user.
            token: The access token, where the broker gives it a shape (Fyers: a JWT).
        """
        for old in self._sessions.values():
            if (old.broker, old.api_key, old.user_id) == (app.broker, app.api_key, user_id):
                self._kill(old)
        now = self._clock.now()
        made = Session(
            app.broker,
            token or secrets.token_hex(16),
            app.api_key,
            user_id,
            now.isoformat(),
            self.session_end(now).isoformat(),
        )
        self._sessions[f"{app.broker}:{made.token}"] = made
        self._state.put("session", f"{app.broker}:{made.token}", asdict(made))
        return made

    @staticmethod
    def session_end(now: datetime) -> datetime:
        """Return when a session that starts now dies: the next 06:00 IST."""
        local = now.astimezone(IST)
        day = local.date() if local.time() < _MORNING else local.date() + timedelta(days=1)
        return datetime.combine(day, _MORNING, IST)

    def session(self, broker: str, api_key: str, token: str) -> Session | None:
        """Return the live session of a token, or None when it is unknown, dead or another app's."""
        found = self._sessions.get(f"{broker}:{token}")
        if found is None or found.dead or found.api_key != api_key:
            return None
        if self._clock.now() >= datetime.fromisoformat(found.expires_at):
            return None
        return found

    def has_logged_in(self, app: App) -> bool:
        """Return whether anybody has ever logged in to an app, be the session dead or alive."""
        named = app.broker, app.api_key
        return any((one.broker, one.api_key) == named for one in self._sessions.values())

    def close(self, session: Session) -> None:
        """Log a session out."""
        self._kill(session)

    def expire(self, broker: str, api_key: str) -> int:
        """Kill every session of an app, as 06:00 does, and return how many were alive."""
        alive = [
            found
            for found in self._sessions.values()
            if (found.broker, found.api_key) == (broker, api_key) and not found.dead
        ]
        for found in alive:
            self._kill(found)
        return len(alive)

    def _kill(self, session: Session) -> None:
        if not session.dead:
            session.dead = True
            self._state.put("session", f"{session.broker}:{session.token}", asdict(session))


def _built_in(brokers: Mapping[str, SimulatedBroker]) -> Iterator[dict[str, Any]]:
    """Yield the apps that are there from the start, each with a user of its own."""
    for broker, simulated in brokers.items():
        for (api_key, secret, user_id), (name, cash) in zip(simulated.keys, _USERS, strict=False):
            yield {
                "broker": broker,
                "api_key": api_key,
                "api_secret": secret,
                "user_id": user_id,
                "user_name": name,
                "cash": cash,
                "holdings": _HOLDINGS if name == _USERS[0][0] else [],
            }


def _holding(row: Mapping[str, Any]) -> dict[str, Any]:
    symbol = str(row.get("symbol") or row["tradingsymbol"]).removeprefix("NSE:")
    return {
        "symbol": symbol.removesuffix("-EQ"),
        "quantity": int(row["quantity"]),
        "average_price": float(row.get("average_price", 0.0)),
        "t1_quantity": int(row.get("t1_quantity", 0)),
        "collateral_quantity": int(row.get("collateral_quantity", 0)),
    }
