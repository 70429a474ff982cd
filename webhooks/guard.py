"""What applies to every request: rate limit, bare refusals, headers, a log without secrets."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from core.errors import StoreError
from core.ports.clock import Clock
from webhooks.pages import SECURITY_POLICY

__all__ = ["AccessLog", "RateLimit", "SlidingWindow", "guard", "harden"]

_log = logging.getLogger(__name__)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
_HIDDEN: Final = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND}
_POSTBACKS: Final = "/postback/"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests of one address in a sliding window.

    Attributes:
        addresses: How many addresses are remembered; the least recently seen is dropped.
    """

    requests: int = 120
    window_s: float = 60.0
    addresses: int = 2048


class SlidingWindow:
    """Counts the requests of each address."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def admits(self, address: str) -> bool:
        """Count a request; return whether it is within the limit."""
        now = self._clock.monotonic()
        times = self._seen.setdefault(address, deque())
        self._seen.move_to_end(address)
        if len(self._seen) > self._limit.addresses:
            self._seen.popitem(last=False)
        while times and now - times[0] >= self._limit.window_s:
            times.popleft()
        if len(times) >= self._limit.requests:
            return False
        times.append(now)
        return True


def address_of(request: web.Request) -> str:
    """Return the client's address: the peer, or the last one that a local reverse proxy names."""
    peer = request.remote or ""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        if named and ip_address(peer).is_loopback:
            return str(ip_address(named))
    except ValueError:
        return peer
    return peer


def guard(window: SlidingWindow) -> Any:
    """Return the middleware around every handler.

    Postbacks are not counted: brokers send them in bursts from few addresses, and stop sending to a
    server that refuses some. They have limits of their own.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_postback = request.path.startswith(_POSTBACKS)
        if not is_postback and not window.admits(address_of(request)):
            return _bare(HTTPStatus.TOO_MANY_REQUESTS)
        try:
            return await handler(request)
        except web.HTTPException as error:
            status = HTTPStatus(error.status)
            return _bare(HTTPStatus.NOT_FOUND if status in _HIDDEN else status)
        except StoreError as error:
            _log.warning("%s: the store: %s", route_of(request), error)
            return _bare(HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception:  # noqa: BLE001 - supervised: logged whole, answered bare
            # The edge of the process: one bad request must not reach strangers as a traceback.
            _log.exception("%s failed", route_of(request))
            return _bare(HTTPStatus.INTERNAL_SERVER_ERROR)

    return guarded


def _bare(status: HTTPStatus) -> web.Response:
    return web.Response(status=status, text=status.phrase)


async def harden(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers of every response and remove the server's name."""
    response.headers.update(_HEADERS)
    response.headers.popall("Server", None)


def route_of(request: web.BaseRequest) -> str:
    """Return method and route: never the path or the query, which hold links, nonces and codes."""
    info = getattr(request, "match_info", None)
    resource = info.route.resource if info is not None else None
    method = request.method if request.method.isalpha() else "?"
    return f"{method[:8]} {resource.canonical if resource else '(no route)'}"


class AccessLog(AbstractAccessLogger):
    """One line a request: address, route, status, size, time."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        self.logger.info(
            "%s %s %s %sB %.0fms",
            request.remote,
            route_of(request),
            response.status,
            response.body_length,
            time * 1000,
        )
