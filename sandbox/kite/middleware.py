"""Middlewares of every Kite route: error shapes, sessions, rates, static addresses, plans."""

import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from sandbox.accounts import App, Session
from sandbox.kite.rate_limit import KiteRateLimiter, Limit
from sandbox.kite.responses import (
    BAD_TOKEN,
    NO_PERMISSION,
    TOO_MANY,
    KiteError,
    error_reply,
    refused,
)
from sandbox.ledger import Draft
from sandbox.orders import Refused
from sandbox.world import World

__all__ = ["APP", "ORDER_LIMITS", "SESSION", "KiteMiddleware", "describe_write", "identify"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

APP = "kite_app"
SESSION = "kite_session"
QUOTE_LIMITS = (Limit(1, 1),)
HISTORICAL_LIMITS = (Limit(3, 1),)
ORDER_LIMITS = (Limit(10, 1), Limit(400, 60), Limit(5000, 86_400))
OTHER_LIMITS = (Limit(10, 1),)
_PUBLIC = re.compile(
    r"^/(connect/login|session/token|instruments(/[A-Z]+)?|_sandbox/health|ws|)/?$"
)
_WRITE = re.compile(r"^/orders/(?P<variety>[a-z]+)(/(?P<order_id>[^/]+))?$")
_ACTIONS = {"POST": "place", "PUT": "modify", "DELETE": "cancel"}


def _authorization(request: web.Request) -> tuple[str, str]:
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    api_key, _, token = rest.strip().partition(":")
    return (api_key, token) if scheme.lower() == "token" else ("", "")


async def identify(request: web.Request) -> Mapping[str, str]:
    """Return what a fault may match on: ``api_key``, and ``tag`` and ``symbol`` of an order."""
    form = await request.post() if request.method in {"POST", "PUT"} else {}
    known = {"api_key": _authorization(request)[0] or str(form.get("api_key", ""))}
    if not known["api_key"]:
        known["api_key"] = request.query.get("api_key", "")
    for name, field in (("tag", "tag"), ("symbol", "tradingsymbol"), ("user_id", "user_id")):
        if field in form:
            known[name] = str(form[field])
    return known


def _number(text: object) -> int | None:
    return int(str(text)) if str(text).isdecimal() else None


async def describe_write(request: web.Request) -> list[Draft]:
    """Describe an order write for the ledger; nothing for other requests."""
    match = _WRITE.match(request.path)
    action = _ACTIONS.get(request.method)
    if match is None or action is None or (action == "place") != (match["order_id"] is None):
        return []
    form = await request.post() if request.method != "DELETE" else {}
    draft = Draft(
        broker="kite",
        api_key=_authorization(request)[0] or None,
        action=action,
        broker_order_id=match["order_id"],
        quantity=_number(form.get("quantity")),
    )
    draft["tag"] = str(form["tag"]) if "tag" in form else None
    draft["symbol"] = str(form["tradingsymbol"]) if "tradingsymbol" in form else None
    draft["side"] = str(form["transaction_type"]) if "transaction_type" in form else None
    draft["order_type"] = str(form["order_type"]) if "order_type" in form else None
    draft["product"] = str(form["product"]) if "product" in form else None
    return [draft]


class KiteMiddleware:
    """Middlewares of the Kite application, with the rate counters."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rates = KiteRateLimiter()
        world.reset_hooks.append(self._rates.clear)

    async def stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Date every answer by the market clock."""
        now = self._world.clock.now()
        response.headers["Date"] = await self._world.faults.date_of("kite", request, now, identify)

    @web.middleware
    async def errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give every error Kite's shape."""
        try:
            return await handler(request)
        except KiteError as error:
            return error_reply(error)
        except Refused as error:
            return error_reply(refused(error.kind, error.message))
        except UnicodeDecodeError:
            return error_reply(KiteError("InputException", "Invalid encoding of the request body."))
        except web.HTTPNotFound:
            return error_reply(KiteError("GeneralException", "Route not found", 404))
        except web.HTTPMethodNotAllowed:
            return error_reply(KiteError("GeneralException", "Method not allowed", 405))

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check session, rate, plan and source address, in this order."""
        if _PUBLIC.match(request.path):
            return await handler(request)
        app, session = self._session(request)
        self._throttle(request, app, session)
        known = {"api_key": app.api_key, "user_id": session.user_id}
        if self._world.faults.limited_for_s("kite", request, known) is not None:
            raise KiteError("NetworkException", TOO_MANY, 429)
        if _needs_data_plan(request.path) and app.plan == "personal":
            raise KiteError("PermissionException", NO_PERMISSION)
        if _is_order_write(request):
            _check_address(request, app)
        request[APP], request[SESSION] = app, session
        return await handler(request)

    def _session(self, request: web.Request) -> tuple[App, Session]:
        api_key, token = _authorization(request)
        app = self._world.accounts.app("kite", api_key)
        session = self._world.accounts.session("kite", api_key, token)
        if app is None or session is None:
            raise KiteError("TokenException", BAD_TOKEN)
        return app, session

    def _throttle(self, request: web.Request, app: App, session: Session) -> None:
        who = f"{app.api_key}:{session.user_id}"
        limits: tuple[Limit, ...] = OTHER_LIMITS
        key = f"other:{who}"
        if _is_order_write(request):
            key, limits = f"orders:{session.user_id}", ORDER_LIMITS
        elif request.path.startswith("/quote"):
            key, limits = f"quote:{who}", QUOTE_LIMITS
        elif request.path.startswith("/instruments/historical"):
            key, limits = f"historical:{who}", HISTORICAL_LIMITS
        if not self._rates.admits(key, limits):
            raise KiteError("NetworkException", TOO_MANY, 429)


def _needs_data_plan(path: str) -> bool:
    return path.startswith(("/quote", "/instruments/historical"))


def _is_order_write(request: web.Request) -> bool:
    return request.method in _ACTIONS and _WRITE.match(request.path) is not None


def _check_address(request: web.Request, app: App) -> None:
    if app.allowed_ips and request.remote not in app.allowed_ips:
        raise KiteError(
            "PermissionException",
            f"IP ({request.remote}) is not allowed to place orders for this app. "
            "Update allowed IPs on the Kite developer console.",
        )
