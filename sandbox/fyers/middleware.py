"""Access control: checks app, session, rate, permission and source address, in this order.

A session that is wrong or dead answers 401, with -16 on trading paths and -15 on data paths. The
plan of an app is its permission template: `connect` may do everything, `personal` sees no
market data, `data` writes no orders (as old App IDs since April 2026); what it may not do answers
403, which says nothing of the session.
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from sandbox.accounts import Accounts, App, Session, User
from sandbox.fyers.rate_limit import FyersRateLimiter, limited
from sandbox.fyers.responses import FyersError
from sandbox.fyers.tokens import app_id_hash
from sandbox.world import World

__all__ = [
    "BROKER",
    "Caller",
    "FyersMiddleware",
    "app_key_of",
    "app_of_hash",
    "caller_of",
    "is_order_write",
]

BROKER = "fyers"
_CALLER = "fyers_caller"
_WRITES = frozenset(
    {
        ("POST", "/api/v3/orders/sync"),
        ("PATCH", "/api/v3/orders/sync"),
        ("DELETE", "/api/v3/orders/sync"),
        ("POST", "/api/v3/multi-order/sync"),
        ("PATCH", "/api/v3/multi-order/sync"),
        ("DELETE", "/api/v3/multi-order/sync"),
        ("DELETE", "/api/v3/positions"),
    }
)
_OPEN_PATHS = (
    "/api/v3/generate-authcode",
    "/api/v3/validate-",
    "/sym_details/",
    "/trade/v3",
    "/_sandbox/",
)


@dataclass(frozen=True)
class Caller:
    """The app, user and session behind a request."""

    app: App
    user: User
    session: Session


def caller_of(request: web.Request) -> Caller:
    """Return the caller of a request; only for paths that need a session."""
    caller = request[_CALLER]
    if not isinstance(caller, Caller):
        raise TypeError("the request has not passed access control")
    return caller


def is_order_write(request: web.Request) -> bool:
    """Return whether a request writes orders."""
    return (request.method, request.path) in _WRITES


def app_key_of(request: web.Request) -> str:
    """Return the App ID that a request names in its header, empty when there is none."""
    return request.headers.get("Authorization", "").strip().partition(":")[0]


def app_of_hash(accounts: Accounts, given: str) -> App | None:
    """Return the app whose id and secret have a hash, or None."""
    for app in accounts.apps(BROKER):
        expected = app_id_hash(app.api_key, app.api_secret)
        if hmac.compare_digest(expected.encode(), given.encode()):
            return app
    return None


class FyersMiddleware:
    """The middleware that admits calls to the handlers or refuses them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limits: dict[str, FyersRateLimiter] = {}
        world.reset_hooks.append(self._limits.clear)

    @web.middleware
    async def admit(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Check a request, then hand it on."""
        if not request.path.startswith(_OPEN_PATHS):
            request[_CALLER] = self._admit(request)
        return await handler(request)

    def find_caller(self, request: web.Request) -> Caller | None:
        """Return who calls without counting the call, or None when there is no live session."""
        key, _, token = request.headers.get("Authorization", "").strip().partition(":")
        app = self._world.accounts.app(BROKER, key)
        session = self._world.accounts.session(BROKER, key, token)
        user = self._world.accounts.user(BROKER, session.user_id) if session else None
        if app is None or session is None or user is None:
            return None
        return Caller(app, user, session)

    def _admit(self, request: web.Request) -> Caller:
        key = app_key_of(request)
        if self._world.accounts.app(BROKER, key) is not None:
            limiter = self._limits.setdefault(key, FyersRateLimiter(time.monotonic))
            limiter.admit(self._world.clock.now().date())
        caller = self.find_caller(request)
        if caller is None:
            raise _dead_session(request.path)
        known = {"api_key": caller.app.api_key, "user_id": caller.user.user_id}
        limited_s = self._world.faults.limited_for_s(BROKER, request, known)
        if limited_s is not None:
            raise limited("request limit reached", limited_s)
        _check_permission(request, caller.app)
        if is_order_write(request):
            _check_address(request, caller.app)
        return caller


def _dead_session(path: str) -> FyersError:
    if path.startswith("/data/"):
        return FyersError(-15, "Please provide valid token", status=401)
    if path.endswith("/logout"):
        return FyersError(-16, "Token is Invalid or Expired", status=401)
    return FyersError(-16, "Could not authenticate the user", status=401)


def _check_permission(request: web.Request, app: App) -> None:
    no_data = app.plan == "personal" and request.path.startswith("/data/")
    no_orders = app.plan == "data" and is_order_write(request)
    if no_data or no_orders:
        raise FyersError(-373, "The app does not have permission for this request", status=403)


def _check_address(request: web.Request, app: App) -> None:
    if app.allowed_ips and request.remote not in app.allowed_ips:
        text = (
            f"Order is not allowed from this IP address ({request.remote}): "
            "it is not whitelisted for the app. Add a static IP to the app"
        )
        raise FyersError(-50, text)
