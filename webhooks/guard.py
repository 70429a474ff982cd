"""What applies to every request: rate limit, bare refusals, headers, a log without secrets."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import ClientPayloadError, web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from core.errors import StoreError
from core.ports.clock import Clock
from webhooks.pages import SECURITY_POLICY
from webhooks.peers import Peers
from webhooks.rated_log import RatedLog

__all__ = ["CLIENT_FAULTS", "RateLimit", "SlidingWindow", "access_log", "guard", "harden"]

CLIENT_FAULTS: Final = (
    HttpProcessingError,
    ClientPayloadError,
    web.RequestPayloadError,
    ConnectionResetError,
)
"""What reading a body raises when it is not what its headers say, or its sender went away."""

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
        times = self._seen.setdefault(address, deque())
        self._seen.move_to_end(address)
        if len(self._seen) > self._limit.addresses:
            self._seen.popitem(last=False)
        if not self.has_room(address):
            return False
        times.append(self._clock.monotonic())
        return True

    def has_room(self, address: str) -> bool:
        """Return whether a request would be within the limit, without counting one."""
        now = self._clock.monotonic()
        times = self._seen.get(address, deque())
        while times and now - times[0] >= self._limit.window_s:
            times.popleft()
        return len(times) < self._limit.requests


def guard(window: SlidingWindow, peers: Peers, log: RatedLog) -> Any:
    """Return the middleware around every handler.

    Postbacks are not counted: brokers send them in bursts from few addresses, and stop sending to a
    server that refuses some. They have limits of their own.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_postback = request.path.startswith(_POSTBACKS)
        if not is_postback and not window.admits(peers.client_of(request)):
            return _bare(HTTPStatus.TOO_MANY_REQUESTS)
        try:
            return await handler(request)
        except web.HTTPException as error:
            status = HTTPStatus(error.status)
            return _bare(HTTPStatus.NOT_FOUND if status in _HIDDEN else status)
        except CLIENT_FAULTS as error:
            route = route_of(request)
            log.say(logging.WARNING, f"{route} bad", "%s: bad (%s)", route, type(error).__name__)
            return _bare(HTTPStatus.BAD_REQUEST)
        except StoreError as error:
            route = route_of(request)
            log.say(logging.WARNING, f"{route} store", "%s: the store: %s", route, error)
            return _bare(HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - supervised: logged whole, answered bare
            # The edge of the process: one bad request must not reach strangers as a traceback.
            route = route_of(request)
            log.say(logging.ERROR, f"{route} failed", "%s failed", route, error=error)
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
    info = request.match_info if isinstance(request, web.Request) and _is_read(request) else None
    resource = info.route.resource if info is not None else None
    method = request.method if request.method.isalpha() else "?"
    return f"{method[:8]} {resource.canonical if resource else '(no route)'}"


def _is_read(request: web.BaseRequest) -> bool:
    """Return whether it came as far as the routes; ``match_info`` fails when it did not."""
    return getattr(request, "_match_info", None) is not None


def access_log(peers: Peers, rated: RatedLog) -> type[AbstractAccessLogger]:
    """Return the class that writes the log of requests.

    A line a request: address, route, status, size, time. Refusals and postbacks, which nothing
    else limits, are rated; what could not be read has its line from the connection.
    """

    class AccessLog(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            if not _is_read(request):
                return
            route = route_of(request)
            line = (
                "%s %s %s %sB %.0fms",
                peers.client_of(request),
                route,
                response.status,
                response.body_length,
                time * 1000,
            )
            if response.status >= HTTPStatus.BAD_REQUEST or _POSTBACKS in route:
                rated.say(logging.INFO, f"{route} {response.status}", *line)
            else:
                self.logger.info(*line)

    return AccessLog
